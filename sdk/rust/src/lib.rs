// SPDX-License-Identifier: MIT
//! Modules of Weir in Rust: traits for balancers, filters and routers, in safe code.
//!
//! A module is a `cdylib` with one [`Module`], which says what its options are and what it prepares
//! from them, and one type a kind. `sdk/templates/balancer-rust` is a whole one; `weirctl module new
//! NAME --language rust` copies it. No dependencies; builds offline with rustc 1.63 and newer.
//!
//! - **Threads and lifetimes are types.** What the host lends (requests, candidates, slots) borrows
//!   from the callback, and a [`Context`] is neither `Send` nor `Sync`: code that keeps a slice, or
//!   calls the host from another thread, does not compile.
//! - **A panic leaves no hook.** It is caught, logged with its place, and told as a fault of the
//!   module in the way of each hook: a failing status, a cost that is no number, an index that is
//!   none, or `weir_fault`. So panics have to unwind: `panic = "abort"` does not build.
//! - Hooks get `&self`, since one may lead to another (a filter that answers sees its own answer):
//!   state that changes is in a [`Cell`](std::cell::Cell) or `RefCell`. An instance lives on one
//!   loop, so that no lock is needed.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

#[cfg(panic = "abort")]
compile_error!("a panic must unwind: take panic = \"abort\" out of the profile");

mod balancer;
mod filter;
mod guard;
mod host;
mod message;
mod options;
mod router;
#[allow(missing_docs)]
pub mod sys;

pub use balancer::{Balancer, BalancerTable, Candidate, Feedback, How, Outcome, Pick, Plain};
pub use filter::{Filter, FilterTable, Next};
pub use guard::quiet_panics;
pub use host::{Check, Context, Error, Level, PoolRef, RouteRef};
pub use message::{Request, Response};
#[doc(hidden)]
pub use options::{align_up, place, row};
pub use options::{Duration, Field, List, OptionTable, Percentage, Size, Str};
pub use router::{Route, Router, RouterTable};

/// What all kinds of a module share.
pub trait Module: Sized + 'static {
    /// Filled by the host from the configuration; see [`options!`]. `()`: there are none.
    type Options: OptionTable;
    /// What is prepared once for each block, and read by all workers' instances.
    type Shared: Send + Sync + 'static;
    /// Checks what the table cannot, resolves names, reads files. Runs on the control thread.
    fn prepare(check: &Check<'_>, options: &Self::Options) -> Result<Self::Shared, Error>;
}

/// Defines the descriptor and the one symbol that a module exports; once, with the name of the
/// module's file:
///
/// ```ignore
/// weir::module! { "balance_mine", "1.0", "MIT", "takes the idlest server", Mine, balancer: Idle }
/// ```
#[macro_export]
macro_rules! module {
    ($name:literal, $version:literal, $license:literal, $summary:literal, $module:ty
     $(, balancer: $balancer:ty)? $(, filter: $filter:ty)? $(, router: $router:ty)? $(,)?) => {
        const _: () = {
            use $crate::sys;
            $(static BALANCER: sys::Fixed<sys::weir_balancer> =
                sys::Fixed(<$balancer as $crate::BalancerTable>::TABLE);)?
            $(static FILTER: sys::Fixed<sys::weir_filter> =
                sys::Fixed(<$filter as $crate::FilterTable>::TABLE);)?
            $(static ROUTER: sys::Fixed<sys::weir_router> =
                sys::Fixed(<$router as $crate::RouterTable>::TABLE);)?
            static MODULE: sys::Fixed<sys::weir_module> = sys::Fixed({
                #[allow(unused_mut)]
                let mut module = $crate::describe::<$module>(
                    concat!($name, "\0"), concat!($version, "\0"), concat!($license, "\0"),
                    concat!($summary, "\0"));
                $(module.balancer = &BALANCER.0 as *const _; let _ = stringify!($balancer);)?
                $(module.filter = &FILTER.0 as *const _; let _ = stringify!($filter);)?
                $(module.router = &ROUTER.0 as *const _; let _ = stringify!($router);)?
                module
            });
            #[no_mangle]
            extern "C" fn weir_module_entry() -> *const sys::weir_module {
                $crate::quiet_panics();
                &MODULE.0
            }
        };
    };
}

/// For [`module!`]: texts end with NUL.
#[doc(hidden)]
pub const fn describe<M: Module>(
    name: &'static str,
    version: &'static str,
    license: &'static str,
    summary: &'static str,
) -> sys::weir_module {
    use std::mem::size_of;
    use std::ptr::null;
    sys::weir_module {
        size: size_of::<sys::weir_module>() as u32,
        abi_major: sys::ABI_MAJOR,
        abi_minor: sys::ABI_MINOR,
        name: name.as_ptr() as *const _,
        version: version.as_ptr() as *const _,
        license: license.as_ptr() as *const _,
        summary: summary.as_ptr() as *const _,
        options: <M::Options as OptionTable>::TABLE,
        load: null(),
        conf_create: Some(host::conf_create::<M>),
        conf_free: Some(host::conf_free::<M>),
        worker_start: null(),
        worker_stop: null(),
        router: null(),
        balancer: null(),
        sticky: null(),
        health: null(),
        filter: null(),
        handler: null(),
        logger: null(),
        store: null(),
        control: null(),
        metrics: null(),
    }
}
