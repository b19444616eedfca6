// SPDX-License-Identifier: MIT
//! Filters: see each request and each response before it goes on.
use std::mem::size_of;
use std::os::raw::c_void;
use std::ptr::null;

use crate::guard::{guarded, tell, By};
use crate::host::{create, destroy, Context, Error};
use crate::{sys, Module, Request, Response};

/// What becomes of a request.
pub enum Next {
    /// It goes on.
    GoOn,
    /// It is answered with that status, type of content and body.
    Reply(u32, String, Vec<u8>),
    /// It is answered with a page like Weir's own; 400 to 599.
    Refuse(u32),
}

/// A filter; one instance a worker and block.
pub trait Filter: Sized + 'static {
    /// The module.
    type Of: Module;
    /// Makes an instance.
    fn new(
        ctx: &Context<'_>,
        options: &<Self::Of as Module>::Options,
        shared: &<Self::Of as Module>::Shared,
    ) -> Result<Self, Error>;
    /// The head of a request has come. An error is answered with 500, and a strike.
    fn on_request(&self, _ctx: &Context<'_>, _req: &mut Request<'_>) -> Result<Next, Error> {
        Ok(Next::GoOn)
    }
    /// The head of a response is about to go out.
    fn on_response(&self, _ctx: &Context<'_>, _req: &Request<'_>, _resp: &mut Response<'_>) {}
}

/// For [`module!`](crate::module).
#[doc(hidden)]
pub trait FilterTable {
    const TABLE: sys::weir_filter;
}

impl<T: Filter> FilterTable for T {
    const TABLE: sys::weir_filter = sys::weir_filter {
        size: size_of::<sys::weir_filter>() as u32,
        create: Some(make::<T>),
        destroy: Some(destroy::<T>),
        on_request: Some(on_request::<T>),
        on_response: Some(on_response::<T>),
        on_response_data: null(),
        on_response_close: null(),
        explain: null(),
    };
}

unsafe extern "C" fn make<T: Filter>(
    ctx: *mut sys::weir_context,
    conf: *const c_void,
    prepared: *mut c_void,
    instance: *mut *mut c_void,
) -> i32 {
    create::<T::Of, T>(ctx, conf, prepared, instance, T::new)
}

unsafe extern "C" fn on_request<T: Filter>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    req: *mut sys::weir_request,
) -> i32 {
    guarded(ctx, By::Log, sys::ERROR, || {
        // SAFETY: `make` made it.
        let this = unsafe { &*(instance as *const T) };
        let mut req = Request::new(req);
        let done = this.on_request(&Context::new(ctx), &mut req).and_then(|next| match next {
            Next::GoOn => Ok(sys::OK),
            Next::Reply(status, kind, body) => req.reply(status, &kind, &body).map(|_| sys::DONE),
            Next::Refuse(status) => req.reply_error(status).map(|_| sys::DONE),
        });
        done.unwrap_or_else(|error| {
            tell(ctx, By::Log, &error.0);
            sys::ERROR
        })
    })
}

unsafe extern "C" fn on_response<T: Filter>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    req: *mut sys::weir_request,
    resp: *mut sys::weir_response,
) {
    guarded(ctx, By::Fault, (), || {
        // SAFETY: `make` made it.
        let this = unsafe { &*(instance as *const T) };
        this.on_response(&Context::new(ctx), &Request::new(req), &mut Response::new(resp))
    })
}
