# SPDX-License-Identifier: MIT
# Autoconf macros for modules of Weir. Serial 1.

# WEIR_MODULE([MINIMUM-VERSION])
# ------------------------------
# Looks for the SDK and sets, by AC_SUBST:
#   WEIR_CFLAGS           compiler flags for the SDK's headers
#   WEIR_MODULE_CFLAGS    what a module's objects want besides
#   WEIR_MODULE_LDFLAGS   what makes them a module
#   weirmoduledir         where Weir looks for modules; --with-weir-moduledir=DIR takes another
AC_DEFUN([WEIR_MODULE],
[AC_REQUIRE([AC_PROG_CC])dnl
PKG_CHECK_MODULES([WEIR], [weir-sdk[]m4_ifnblank([$1], [ >= $1])])
AC_ARG_WITH([weir-moduledir],
    [AS_HELP_STRING([--with-weir-moduledir=DIR], [install the module into DIR])],
    [weirmoduledir=$withval],
    [PKG_CHECK_VAR([weirmoduledir], [weir-sdk], [moduledir], [],
        [AC_MSG_ERROR([weir-sdk.pc says no moduledir; use --with-weir-moduledir=DIR])])])
AC_SUBST([weirmoduledir])
AC_SUBST([WEIR_MODULE_CFLAGS], ["-fPIC -fvisibility=hidden"])
AC_SUBST([WEIR_MODULE_LDFLAGS], ["-shared -Wl,-z,defs"])
])

# WEIR_MODULE_TESTS
# -----------------
# Looks for the fake host and for Check. The conditional WEIR_TESTS is true where both are there;
# WEIR_TESTING_CFLAGS and WEIR_TESTING_LIBS are set then.
AC_DEFUN([WEIR_MODULE_TESTS],
[PKG_CHECK_MODULES([WEIR_TESTING], [weir-testing check], [weir_tests=yes], [weir_tests=no])
AS_IF([test "x$weir_tests" = xno],
    [AC_MSG_NOTICE([make check does nothing without the library Check])])
AM_CONDITIONAL([WEIR_TESTS], [test "x$weir_tests" = xyes])
])
