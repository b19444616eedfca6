# SPDX-License-Identifier: MIT
# Modules that misbehave, or do odd things, on purpose, for the end-to-end tests; they are never installed. One is
#
#   weir_test_programs += tests/modules/built/trip.so
#   tests_modules_built_trip_so_SOURCES = tests/modules/trip.c
#   tests_modules_built_trip_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/expand.so
tests_modules_built_expand_so_SOURCES = tests/modules/expand.c
tests_modules_built_expand_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/pour.so
tests_modules_built_pour_so_SOURCES = tests/modules/pour.c
tests_modules_built_pour_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_fails.so
tests_modules_built_balance_fails_so_SOURCES = tests/modules/balance_fails.c
tests_modules_built_balance_fails_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/route_silent.so
tests_modules_built_route_silent_so_SOURCES = tests/modules/route_silent.c
tests_modules_built_route_silent_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trip.so
tests_modules_built_trip_so_SOURCES = tests/modules/trip.c
tests_modules_built_trip_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_slots_a.so
tests_modules_built_balance_slots_a_so_SOURCES = tests/modules/balance_slots.c
tests_modules_built_balance_slots_a_so_CPPFLAGS = $(AM_CPPFLAGS) -DSLOTS_NAME='"balance_slots_a"'
tests_modules_built_balance_slots_a_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_slots_b.so
tests_modules_built_balance_slots_b_so_SOURCES = tests/modules/balance_slots.c
tests_modules_built_balance_slots_b_so_CPPFLAGS = $(AM_CPPFLAGS) -DSLOTS_NAME='"balance_slots_b"'
tests_modules_built_balance_slots_b_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_counts.so
tests_modules_built_balance_counts_so_SOURCES = tests/modules/balance_counts.c
tests_modules_built_balance_counts_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/notes.so
tests_modules_built_notes_so_SOURCES = tests/modules/notes.c
tests_modules_built_notes_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_learns.so
tests_modules_built_balance_learns_so_SOURCES = tests/modules/balance_learns.c
tests_modules_built_balance_learns_so_CPPFLAGS = $(AM_CPPFLAGS) -DLEARNS_VERSION=1
tests_modules_built_balance_learns_so_LDFLAGS = $(MODULE_LINK)

# Another version of it, under its name when a test has put it there.
weir_test_programs += tests/modules/built/balance_learns_2.so
tests_modules_built_balance_learns_2_so_SOURCES = tests/modules/balance_learns.c
tests_modules_built_balance_learns_2_so_CPPFLAGS = $(AM_CPPFLAGS) -DLEARNS_VERSION=2
tests_modules_built_balance_learns_2_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_hears.so
tests_modules_built_balance_hears_so_SOURCES = tests/modules/balance_hears.c
tests_modules_built_balance_hears_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_marks.so
tests_modules_built_balance_marks_so_SOURCES = tests/modules/balance_marks.c
tests_modules_built_balance_marks_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/lingers.so
tests_modules_built_lingers_so_SOURCES = tests/modules/lingers.c
tests_modules_built_lingers_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_strikes.so
tests_modules_built_balance_strikes_so_SOURCES = tests/modules/strikes.c
tests_modules_built_balance_strikes_so_CPPFLAGS = $(AM_CPPFLAGS) -DSTRIKES_NAME='"balance_strikes"'
tests_modules_built_balance_strikes_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/sticky_strikes.so
tests_modules_built_sticky_strikes_so_SOURCES = tests/modules/strikes.c
tests_modules_built_sticky_strikes_so_CPPFLAGS = $(AM_CPPFLAGS) -DSTRIKES_NAME='"sticky_strikes"'
tests_modules_built_sticky_strikes_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_dies.so
tests_modules_built_balance_dies_so_SOURCES = tests/modules/balance_dies.c
tests_modules_built_balance_dies_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/balance_ends.so
tests_modules_built_balance_ends_so_SOURCES = tests/modules/ends.c
tests_modules_built_balance_ends_so_CPPFLAGS = $(AM_CPPFLAGS) -DENDS_BALANCER -DENDS_NAME='"balance_ends"'
tests_modules_built_balance_ends_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/route_ends.so
tests_modules_built_route_ends_so_SOURCES = tests/modules/ends.c
tests_modules_built_route_ends_so_CPPFLAGS = $(AM_CPPFLAGS) -DENDS_ROUTER -DENDS_NAME='"route_ends"'
tests_modules_built_route_ends_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/log_ends.so
tests_modules_built_log_ends_so_SOURCES = tests/modules/ends.c
tests_modules_built_log_ends_so_CPPFLAGS = $(AM_CPPFLAGS) -DENDS_LOGGER -DENDS_NAME='"log_ends"'
tests_modules_built_log_ends_so_LDFLAGS = $(MODULE_LINK)

# In C++; the version script keeps the library's templates in.
if HAVE_CXX
weir_test_programs += tests/modules/built/balance_throws.so
tests_modules_built_balance_throws_so_SOURCES = tests/modules/balance_throws.cc
tests_modules_built_balance_throws_so_LDFLAGS = $(MODULE_LINK) \
    -Wl,--version-script=$(top_srcdir)/sdk/templates/balancer-c++/exports.map
endif

# Copies of one balancer: the first, one as good, and such that do worse.
weir_test_programs += tests/modules/built/trial_one.so
tests_modules_built_trial_one_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_one_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"1.0"' -DTRIAL_FAULT=FAULT_NONE
tests_modules_built_trial_one_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_two.so
tests_modules_built_trial_two_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_two_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.0"' -DTRIAL_FAULT=FAULT_NONE
tests_modules_built_trial_two_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_last.so
tests_modules_built_trial_last_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_last_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.1"' -DTRIAL_FAULT=FAULT_LAST
tests_modules_built_trial_last_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_index.so
tests_modules_built_trial_index_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_index_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.2"' -DTRIAL_FAULT=FAULT_INDEX
tests_modules_built_trial_index_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_slow.so
tests_modules_built_trial_slow_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_slow_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.3"' -DTRIAL_FAULT=FAULT_SLOW
tests_modules_built_trial_slow_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_crash.so
tests_modules_built_trial_crash_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_crash_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.4"' -DTRIAL_FAULT=FAULT_CRASH
tests_modules_built_trial_crash_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_loop.so
tests_modules_built_trial_loop_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_loop_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.5"' -DTRIAL_FAULT=FAULT_LOOP
tests_modules_built_trial_loop_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_create.so
tests_modules_built_trial_create_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_create_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.6"' -DTRIAL_FAULT=FAULT_CREATE
tests_modules_built_trial_create_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_members.so
tests_modules_built_trial_members_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_members_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.7"' -DTRIAL_FAULT=FAULT_MEMBERS
tests_modules_built_trial_members_so_LDFLAGS = $(MODULE_LINK)

weir_test_programs += tests/modules/built/trial_once.so
tests_modules_built_trial_once_so_SOURCES = tests/modules/balance_trial.c
tests_modules_built_trial_once_so_CPPFLAGS = $(AM_CPPFLAGS) -DTRIAL_VERSION='"2.8"' -DTRIAL_FAULT=FAULT_ONCE
tests_modules_built_trial_once_so_LDFLAGS = $(MODULE_LINK)
