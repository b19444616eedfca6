// SPDX-License-Identifier: MIT
//! Panics stop here: no hook lets one out.
use std::any::Any;
use std::cell::Cell;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::sys;

/// How a failure is told: by the log, where what the hook returns says that it has failed, or else
/// by `weir_fault`, which is a line of the log as well.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Log,
    Fault,
}

// Where the last panic of this thread was. Plain bytes: a destructor of a thread's variable would
// keep the module's file from being unloaded.
const PLACE: usize = 128;
thread_local! {
    static LAST: Cell<[u8; PLACE]> = const { Cell::new([0; PLACE]) };
}

/// Notes where a panic was, and prints nothing: the log has it. Called by `weir::module!`.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let mut place = [0; PLACE];
        if let Some(location) = info.location() {
            let mut rest = &mut place[..PLACE - 1];
            let _ = std::io::Write::write_fmt(
                &mut rest,
                format_args!("{}:{}: ", location.file(), location.line()),
            );
        }
        LAST.with(|last| last.set(place));
    }));
}

/// A line for C: without line breaks and NUL, but with one at its end.
pub(crate) fn line_of(text: &str) -> Vec<u8> {
    text.bytes().map(|b| if b < b' ' { b' ' } else { b }).chain(std::iter::once(0)).collect()
}

/// Logs a line. The host's `log` takes a format and its arguments: without a directive in the
/// format it reads none, and so gets an empty list.
pub(crate) fn log(ctx: *mut sys::weir_context, level: u32, text: &str) {
    let format = line_of(&text.replace('%', "%%"));
    let mut none = [0u64; 8];
    // SAFETY: the context is valid in a hook; a va_list is at most 32 bytes, or a pointer.
    unsafe {
        let host = &*(*ctx).host;
        (host.log)(ctx, level, format.as_ptr() as *const c_char, none.as_mut_ptr() as *mut c_void);
    }
}

pub(crate) fn tell(ctx: *mut sys::weir_context, by: By, text: &str) {
    match by {
        By::Log => log(ctx, sys::LOG_ERROR, text),
        // SAFETY: the context is valid in a hook.
        By::Fault => unsafe {
            ((*(*ctx).host).fault)(ctx, line_of(text).as_ptr() as *const c_char)
        },
    }
}

fn words_of(payload: &(dyn Any + Send)) -> String {
    let place = LAST.with(|last| last.take_place());
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic that is no text");
    format!("{}{}", place, what)
}

trait TakePlace {
    fn take_place(&self) -> String;
}
impl TakePlace for Cell<[u8; PLACE]> {
    fn take_place(&self) -> String {
        let place = self.replace([0; PLACE]);
        let len = place.iter().position(|&b| b == 0).unwrap_or(PLACE);
        String::from_utf8_lossy(&place[..len]).into_owned()
    }
}

/// What `body` returns; `failed` where it panics, which is told.
pub(crate) fn guarded<R>(
    ctx: *mut sys::weir_context,
    by: By,
    failed: R,
    body: impl FnOnce() -> R,
) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => {
            tell(ctx, by, &words_of(&*payload));
            // What is thrown may panic in its own destructor.
            if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
                std::mem::forget(second);
            }
            failed
        }
    }
}
