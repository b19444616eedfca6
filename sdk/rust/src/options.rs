// SPDX-License-Identifier: MIT
//! Options: a struct whose rows are made by [`options!`](crate::options).
use crate::host::bytes_of;
use crate::sys;

/// A struct that the host fills by a table.
///
/// # Safety
/// The table's rows fit the struct; `options!` makes such.
pub unsafe trait OptionTable: Sized + 'static {
    /// NULL: there are no options, and the struct is empty.
    const TABLE: *const sys::weir_options;
}

// SAFETY: nothing is filled.
unsafe impl OptionTable for () {
    const TABLE: *const sys::weir_options = std::ptr::null();
}

/// A type that a field may have.
///
/// # Safety
/// It is laid out as option.h says of the type's number.
pub unsafe trait Field {
    /// `enum weir_option_type`.
    const TYPE: u32;
    /// Of a list.
    const ELEMENT: u32 = 0;
}

/// Text.
#[repr(transparent)]
pub struct Str(pub(crate) sys::weir_str);
/// Nanoseconds: 250ms, 2s, 1h.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Duration(pub u64);
/// Bytes: 512, 16k, 1m.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Size(pub u64);
/// 0.2 for 20%.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Percentage(pub f64);
/// Several of one type.
#[repr(transparent)]
pub struct List<T>(sys::weir_list, std::marker::PhantomData<T>);

// SAFETY: options never change, and live as long as the block that they were borrowed from.
unsafe impl Sync for Str {}
unsafe impl<T: Sync> Sync for List<T> {}

impl Str {
    /// The text as it stands in the file.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: it lives as long as the options.
        unsafe { bytes_of(self.0) }
    }
    /// The text, with what is not UTF-8 replaced.
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(self.as_bytes()).into_owned()
    }
}

impl<T: Field> List<T> {
    /// The items in the file's order.
    pub fn as_slice(&self) -> &[T] {
        if self.0.count == 0 {
            return &[];
        }
        // SAFETY: the host fills it with items of that type.
        unsafe { std::slice::from_raw_parts(self.0.items as *const T, self.0.count) }
    }
}

macro_rules! fields {
    ($($kind:ty = $number:literal),*) => {
        // SAFETY: as option.h says of each.
        $(unsafe impl Field for $kind { const TYPE: u32 = $number; })*
    };
}
fields!(Str = 1, i64 = 2, f64 = 3, bool = 4, Duration = 5, Size = 6, Percentage = 7);
// SAFETY: a struct weir_list.
unsafe impl<T: Field> Field for List<T> {
    const TYPE: u32 = 11;
    const ELEMENT: u32 = T::TYPE;
}

/// For [`options!`](crate::options): where the next field of `repr(C)` begins.
#[doc(hidden)]
pub const fn align_up(end: usize, align: usize) -> usize {
    (end + align - 1) / align * align
}

/// Defines a struct of options and its table. Each has a document, which users read, and may have a
/// default and limits, written as in a configuration. The places are MODULE (always), LISTENER,
/// ROUTE and POOL.
///
/// ```
/// weir::options! {
///     /// Options of the balancer.
///     pub struct Options: POOL {
///         /// How many servers are drawn.
///         choices: i64 = "2" in "1"..="16",
///         /// A header field; without one none is looked at.
///         field: weir::Str,
///     }
/// }
/// ```
#[macro_export]
macro_rules! options {
    ($(#[$meta:meta])* $vis:vis struct $name:ident: $($at:ident)|+ {
        $($(#[doc = $doc:literal])+ $field:ident: $kind:ty
          $(= $default:literal $(in $least:literal ..= $most:literal)?)?),* $(,)?
    }) => {
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name { $($(#[doc = $doc])+ pub $field: $kind,)* }

        // SAFETY: offsets are those of repr(C), types those of the fields.
        unsafe impl $crate::OptionTable for $name {
            const TABLE: *const $crate::sys::weir_options = {
                const COUNT: usize = [$(stringify!($field)),*].len();
                const OFFSETS: [usize; COUNT] = {
                    let mut offsets = [0; COUNT];
                    let mut end = 0;
                    let mut i = 0;
                    $(
                        end = $crate::align_up(end, std::mem::align_of::<$kind>());
                        offsets[i] = end;
                        end += std::mem::size_of::<$kind>();
                        i += 1;
                    )*
                    assert!(i == COUNT && end <= std::mem::size_of::<$name>());
                    offsets
                };
                const PLACES: u32 = $crate::place("MODULE") $(| $crate::place(stringify!($at)))+;
                const fn row(
                    index: usize, name: &'static str, kind: u32, element: u32,
                    fallback: &'static str, least: &'static str, most: &'static str,
                    document: &'static str,
                ) -> $crate::sys::weir_option {
                    $crate::row(OFFSETS[index], PLACES, name, kind, element, fallback, least, most,
                                document)
                }
                const ROWS: &[$crate::sys::weir_option; COUNT] = &{
                        let mut index = 0;
                        let rows = [$({
                            index += 1;
                            row(index - 1, concat!(stringify!($field), "\0"),
                                <$kind as $crate::Field>::TYPE, <$kind as $crate::Field>::ELEMENT,
                                concat!($($default, "\0")?), concat!($($($least, "\0")?)?),
                                concat!($($($most, "\0")?)?), concat!($($doc),+, "\0"))
                        }),*];
                        assert!(index == COUNT);
                        rows
                    };
                const TABLE: &$crate::sys::weir_options = &$crate::sys::weir_options {
                        size: std::mem::size_of::<$crate::sys::weir_options>() as u32,
                        option_size: std::mem::size_of::<$crate::sys::weir_option>() as u32,
                        conf_size: std::mem::size_of::<$name>() as u32,
                        count: COUNT as u32,
                        rows: ROWS as *const _ as *const $crate::sys::weir_option,
                        title_offset: $crate::sys::NO_TITLE,
                    };
                TABLE
            };
        }
    };
}

/// For [`options!`](crate::options): a place's bit.
#[doc(hidden)]
pub const fn place(name: &str) -> u32 {
    match name.as_bytes() {
        b"MODULE" => 1,
        b"LISTENER" => 2,
        b"ROUTE" => 4,
        b"POOL" => 8,
        _ => panic!("places are MODULE, LISTENER, ROUTE and POOL"),
    }
}

/// For [`options!`](crate::options). Texts end with NUL; empty ones are left out.
#[doc(hidden)]
#[allow(clippy::too_many_arguments)]
pub const fn row(
    offset: usize,
    contexts: u32,
    name: &'static str,
    kind: u32,
    element: u32,
    fallback: &'static str,
    least: &'static str,
    most: &'static str,
    document: &'static str,
) -> sys::weir_option {
    const fn text(text: &'static str) -> *const std::os::raw::c_char {
        if text.is_empty() {
            return std::ptr::null();
        }
        // A document's line begins with the blank behind its slashes.
        let blank = if text.as_bytes()[0] == b' ' { 1 } else { 0 };
        // SAFETY: there is a NUL behind it at least.
        unsafe { text.as_ptr().add(blank) as *const std::os::raw::c_char }
    }
    sys::weir_option {
        name: text(name),
        type_: kind,
        element,
        offset: offset as u32,
        contexts,
        flags: 4, // WEIR_OPTION_RELOADABLE
        fallback: text(fallback),
        minimum: text(least),
        maximum: text(most),
        document: text(document),
        names: std::ptr::null(),
        block: std::ptr::null(),
    }
}
