// SPDX-License-Identifier: MIT
//! Services of an instance, and the checking of a configuration.
use std::fmt::Display;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_void};

use crate::guard::{guarded, line_of, log, tell, By};
use crate::{sys, Module, OptionTable, Str};

/// Why something cannot be done, in words for an operator.
#[derive(Debug)]
pub struct Error(pub String);

impl<T: Display> From<T> for Error {
    fn from(text: T) -> Self {
        Error(text.to_string())
    }
}

/// How important a line of the log is.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum Level {
    Error = 0,
    Warning = 1,
    Notice = 2,
    Info = 3,
    Debug = 4,
}

/// A pool's number, for routers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolRef(pub(crate) u32);

/// A route's number, for statistics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteRef(pub(crate) u32);

pub(crate) fn str_of(bytes: &[u8]) -> sys::weir_str {
    sys::weir_str { ptr: bytes.as_ptr() as *const c_char, len: bytes.len() }
}

/// # Safety
/// What the host gave is valid as long as `'a`.
pub(crate) unsafe fn bytes_of<'a>(text: sys::weir_str) -> &'a [u8] {
    if text.len == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(text.ptr as *const u8, text.len) }
}

/// Where an instance is: on one loop, for one callback.
pub struct Context<'a> {
    pub(crate) raw: *mut sys::weir_context,
    life: PhantomData<&'a ()>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(raw: *mut sys::weir_context) -> Self {
        Context { raw, life: PhantomData }
    }

    fn host(&self) -> &sys::weir_host {
        // SAFETY: contexts are made in hooks, for their time.
        unsafe { &*(*self.raw).host }
    }

    /// Monotonic time, read once a loop turn.
    pub fn now_ns(&self) -> u64 {
        // SAFETY: as for all services: the context is the hook's, on its thread.
        unsafe { (self.host().now_ns)(self.raw) }
    }

    /// Milliseconds since 1970; may jump.
    pub fn wall_ms(&self) -> u64 {
        unsafe { (self.host().wall_ms)(self.raw) }
    }

    /// Number of the loop.
    pub fn worker_index(&self) -> u32 {
        unsafe { (self.host().worker_index)(self.raw) }
    }

    /// Number of workers.
    pub fn worker_count(&self) -> u32 {
        unsafe { (self.host().worker_count)(self.raw) }
    }

    /// The pool in whose block the module is named; empty: none.
    pub fn pool_name(&self) -> &[u8] {
        unsafe { bytes_of((self.host().pool_name)(self.raw)) }
    }

    /// A number fit for keys.
    pub fn random(&self) -> u64 {
        let mut number = 0u64;
        unsafe { (self.host().random)(self.raw, &mut number as *mut u64 as *mut c_void, 8) };
        number
    }

    /// One line for the program's log.
    pub fn log(&self, level: Level, line: &str) {
        log(self.raw, level as u32, line);
    }

    /// The hook that runs has failed.
    pub fn fault(&self, what: &str) {
        tell(self.raw, By::Fault, what);
    }
}

/// Checking of a configuration, in [`Module::prepare`].
pub struct Check<'a> {
    ctx: Context<'a>,
    raw: *mut sys::weir_check,
}

impl<'a> Check<'a> {
    fn host(&self) -> &sys::weir_host {
        self.ctx.host()
    }

    /// The context of the block.
    pub fn context(&self) -> &Context<'a> {
        &self.ctx
    }

    /// Whether it is the module's own block, and no `balance` or `filter` block.
    pub fn is_module_block(&self) -> bool {
        // SAFETY: as for all services of a context.
        unsafe { (self.host().block_name)(self.ctx.raw).len == 0 }
    }

    /// A mistake: `field` is the wrong field of the options, by which the host finds file and line.
    pub fn error<T>(&self, field: &T, text: &str) {
        self.tell(field as *const T as *const c_void, text);
    }

    fn tell(&self, field: *const c_void, text: &str) {
        let format = line_of(&text.replace('%', "%%"));
        let mut none = [0u64; 8];
        // SAFETY: as in guard::log.
        unsafe {
            (self.host().check_error)(
                self.raw,
                field,
                format.as_ptr() as *const c_char,
                none.as_mut_ptr() as *mut c_void,
            );
        }
    }

    /// The pool that an option names; none: the mistake is reported.
    pub fn pool(&self, name: &Str) -> Option<PoolRef> {
        let found = unsafe { (self.host().check_pool)(self.raw, &name.0) };
        (found != sys::NO_REF).then(|| PoolRef(found))
    }

    /// Makes a route known; none: there is one of that name, which is reported.
    pub fn route<T>(&self, field: &T, name: &str) -> Option<RouteRef> {
        let field = field as *const T as *const c_void;
        let found = unsafe { (self.host().check_route)(self.raw, field, str_of(name.as_bytes())) };
        (found != sys::NO_REF).then(|| RouteRef(found))
    }
}

/// # Safety
/// `conf` is what the host filled by the type's table.
pub(crate) unsafe fn options_of<'a, O: OptionTable>(conf: *const c_void) -> &'a O {
    if conf.is_null() {
        assert!(std::mem::size_of::<O>() == 0, "the host gave no options");
        return unsafe { &*std::ptr::NonNull::dangling().as_ptr() };
    }
    unsafe { &*(conf as *const O) }
}

pub(crate) unsafe extern "C" fn conf_create<M: Module>(
    ctx: *mut sys::weir_context,
    check: *mut sys::weir_check,
    conf: *const c_void,
    prepared: *mut *mut c_void,
) -> i32 {
    let check = Check { ctx: Context::new(ctx), raw: check };
    let made = guarded(ctx, By::Log, None, || {
        // SAFETY: the descriptor names this table.
        Some(M::prepare(&check, unsafe { options_of::<M::Options>(conf) }))
    });
    match made {
        Some(Ok(shared)) => {
            // SAFETY: the host's own place for it.
            unsafe { *prepared = Box::into_raw(Box::new(shared)) as *mut c_void };
            sys::OK
        }
        Some(Err(error)) => {
            check.tell(std::ptr::null(), &error.0);
            sys::ERROR
        }
        None => {
            check.tell(std::ptr::null(), "the module has failed, and its line in the log says how");
            sys::ERROR
        }
    }
}

pub(crate) unsafe extern "C" fn conf_free<M: Module>(
    ctx: *mut sys::weir_context,
    prepared: *mut c_void,
) {
    guarded(ctx, By::Fault, (), || {
        // SAFETY: conf_create made it, and no instance is left.
        drop(unsafe { Box::from_raw(prepared as *mut M::Shared) })
    });
}

/// `create` of any kind: `new` makes the instance.
pub(crate) fn create<M: Module, T>(
    ctx: *mut sys::weir_context,
    conf: *const c_void,
    prepared: *mut c_void,
    instance: *mut *mut c_void,
    new: impl FnOnce(&Context<'_>, &M::Options, &M::Shared) -> Result<T, Error>,
) -> i32 {
    let made = guarded(ctx, By::Log, None, || {
        // SAFETY: the descriptor names this table, and conf_create has prepared.
        let (options, shared) =
            unsafe { (options_of::<M::Options>(conf), &*(prepared as *const M::Shared)) };
        match new(&Context::new(ctx), options, shared) {
            Ok(made) => Some(Box::new(made)),
            Err(error) => {
                tell(ctx, By::Log, &error.0);
                None
            }
        }
    });
    match made {
        Some(made) => {
            // SAFETY: the host's own place for it.
            unsafe { *instance = Box::into_raw(made) as *mut c_void };
            sys::OK
        }
        None => sys::ERROR,
    }
}

/// `destroy` of any kind.
///
/// # Safety
/// [`create`] made the instance as a `T`.
pub(crate) unsafe extern "C" fn destroy<T>(ctx: *mut sys::weir_context, instance: *mut c_void) {
    guarded(ctx, By::Fault, (), || drop(unsafe { Box::from_raw(instance as *mut T) }));
}
