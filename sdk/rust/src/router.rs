// SPDX-License-Identifier: MIT
//! Routers: give each request a pool, or answer it.
use std::mem::size_of;
use std::os::raw::c_void;
use std::ptr::null;

use crate::guard::{guarded, tell, By};
use crate::host::{create, destroy, Context, Error, PoolRef, RouteRef};
use crate::{sys, Module, Request};

/// Where a request goes.
pub enum Route {
    /// To the pool, counted for the route.
    Pool(PoolRef, Option<RouteRef>),
    /// It is answered with that status, from 400 on.
    Status(u32),
    /// It is led to another place: 301, 302, 303, 307 or 308.
    Redirect(u32, String),
    /// No rule of mine: the next router is asked.
    Declined,
}

/// A router; one instance a worker.
pub trait Router: Sized + 'static {
    /// The module.
    type Of: Module;
    /// Makes an instance.
    fn new(
        ctx: &Context<'_>,
        options: &<Self::Of as Module>::Options,
        shared: &<Self::Of as Module>::Shared,
    ) -> Result<Self, Error>;
    /// Runs once a request. An error is answered with 500, and a strike.
    fn route(&self, ctx: &Context<'_>, req: &Request<'_>) -> Result<Route, Error>;
}

/// For [`module!`](crate::module).
#[doc(hidden)]
pub trait RouterTable {
    const TABLE: sys::weir_router;
}

impl<T: Router> RouterTable for T {
    const TABLE: sys::weir_router = sys::weir_router {
        size: size_of::<sys::weir_router>() as u32,
        create: Some(make::<T>),
        destroy: Some(destroy::<T>),
        route: Some(route::<T>),
        explain: null(),
    };
}

unsafe extern "C" fn make<T: Router>(
    ctx: *mut sys::weir_context,
    conf: *const c_void,
    prepared: *mut c_void,
    instance: *mut *mut c_void,
) -> i32 {
    create::<T::Of, T>(ctx, conf, prepared, instance, T::new)
}

unsafe extern "C" fn route<T: Router>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    req: *mut sys::weir_request,
    out: *mut sys::weir_route_result,
) -> i32 {
    guarded(ctx, By::Log, sys::ERROR, || {
        // SAFETY: `make` made it; `out` is the host's.
        let (this, out) = unsafe { (&*(instance as *const T), &mut *out) };
        let req = Request::new(req);
        let done = this.route(&Context::new(ctx), &req).and_then(|route| {
            match route {
                Route::Declined => return Ok(sys::DECLINED),
                Route::Status(status) => out.status = status,
                Route::Pool(pool, route) => {
                    out.pool = pool.0;
                    out.route = route.map_or(sys::NO_REF, |route| route.0);
                }
                Route::Redirect(status, location) => {
                    out.status = status;
                    out.location = req.keep(location.as_bytes())?;
                }
            }
            Ok(sys::OK)
        });
        done.unwrap_or_else(|error| {
            tell(ctx, By::Log, &error.0);
            sys::ERROR
        })
    })
}
