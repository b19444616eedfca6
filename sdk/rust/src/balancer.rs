// SPDX-License-Identifier: MIT
//! Balancers: say what a candidate costs, or pick one.
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::raw::{c_char, c_double, c_void};
use std::ptr::{null, NonNull};

use crate::guard::{guarded, tell, By};
use crate::host::{bytes_of, create, destroy, options_of, Context, Error};
use crate::{sys, Module, Request};

/// How a balancer chooses.
#[derive(Clone, Copy)]
pub enum How {
    /// By [`Balancer::cost`], which the host caches.
    Cost,
    /// By `cost`, which depends on the request: all are asked each time.
    CostByRequest,
    /// By [`Balancer::pick`].
    Pick,
    /// Servers take turns.
    Turns,
}

/// Data for which all zero is a value: what slots are made of. `weir::plain!` makes such structs.
///
/// # Safety
/// Any type but those is not meant.
pub unsafe trait Plain: Copy + 'static {}
macro_rules! plain_types {
    ($($kind:ty),*) => {
        // SAFETY: numbers.
        $(unsafe impl Plain for $kind {})*
    };
}
plain_types!((), u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64);
// SAFETY: as its items.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Defines a struct of plain data, for a balancer's slots.
#[macro_export]
macro_rules! plain {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $kind:ty),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $vis struct $name { $($(#[$field_meta])* $field_vis $field: $kind),* }
        // SAFETY: each field is.
        unsafe impl $crate::Plain for $name where $($kind: $crate::Plain),* {}
    };
}

/// A server that may be picked.
pub struct Candidate<'a, S> {
    raw: &'a sys::weir_candidate,
    slot: PhantomData<S>,
}

fn slot_at<'a, S: Plain>(slot: *mut c_void) -> Option<&'a Cell<S>> {
    if size_of::<S>() == 0 {
        // SAFETY: nothing is there.
        return Some(unsafe { NonNull::<Cell<S>>::dangling().as_ref() });
    }
    // SAFETY: the host gives slot_size bytes, aligned for any type, zeroed at first, to this loop.
    unsafe { (slot as *const Cell<S>).as_ref() }
}

impl<'a, S: Plain> Candidate<'a, S> {
    /// The same over restarts and machines.
    pub fn id(&self) -> u64 {
        self.raw.id
    }
    /// Its id in the configuration.
    pub fn name(&self) -> &[u8] {
        // SAFETY: valid as long as the candidate.
        unsafe { bytes_of(self.raw.name) }
    }
    /// Requests that it has now, over all workers.
    pub fn in_flight(&self) -> u32 {
        // SAFETY: other loops write it as an atomic.
        unsafe {
            (*(self.raw.in_flight as *const std::sync::atomic::AtomicU32))
                .load(std::sync::atomic::Ordering::Relaxed)
        }
    }
    /// How many it may have; none: any number.
    pub fn limit(&self) -> Option<u32> {
        (self.raw.limit > 0).then(|| self.raw.limit)
    }
    /// 1 for a server of weight 1, less while it starts slowly.
    pub fn weight(&self) -> f64 {
        f64::from(self.raw.weight) / sys::WEIGHT_ONE
    }
    /// Requests by weight: the cost of many policies.
    pub fn load(&self) -> f64 {
        f64::from(self.in_flight()) / self.weight()
    }
    /// The balancer's own memory for it.
    pub fn slot(&self) -> &Cell<S> {
        slot_at(self.raw.slot).expect("a candidate has a slot")
    }
}

/// One choice.
pub struct Pick<'a, S> {
    raw: &'a sys::weir_pick,
    slot: PhantomData<S>,
}

impl<'a, S: Plain> Pick<'a, S> {
    /// How many candidates there are.
    pub fn count(&self) -> u32 {
        // SAFETY: valid as long as the pick.
        unsafe { (*self.raw.candidates).count }
    }
    /// The candidate of that index, which is below `count`.
    pub fn candidate(&self, index: u32) -> Candidate<'a, S> {
        assert!(index < self.count(), "there is no candidate {}", index);
        // SAFETY: the host's stride.
        unsafe {
            let all = &*self.raw.candidates;
            let at = (all.first as *const u8).add(index as usize * all.candidate_size as usize);
            Candidate { raw: &*(at as *const sys::weir_candidate), slot: PhantomData }
        }
    }
    /// Whether it may serve this request.
    pub fn usable(&self, index: u32) -> bool {
        // SAFETY: the host's own.
        unsafe { (self.raw.usable)(self.raw, index) }
    }
    /// 0 first, 1 for the first retry.
    pub fn attempt(&self) -> u32 {
        self.raw.attempt
    }
    /// An operator asks where a request would go: nothing may change.
    pub fn dry_run(&self) -> bool {
        self.raw.dry_run
    }
    /// The request.
    pub fn request(&self) -> Request<'_> {
        Request::new(self.raw.request)
    }
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Outcome {
    Success,
    Error,
    Failed,
    Timeout,
    Canceled,
}

/// What became of a request.
pub struct Feedback<'a, S> {
    raw: &'a sys::weir_feedback,
    slot: PhantomData<S>,
}

impl<'a, S: Plain> Feedback<'a, S> {
    /// How it ended.
    pub fn outcome(&self) -> Outcome {
        match self.raw.outcome {
            0 => Outcome::Success,
            1 => Outcome::Error,
            2 => Outcome::Failed,
            3 => Outcome::Timeout,
            _ => Outcome::Canceled,
        }
    }
    /// Of the response; 0: none.
    pub fn status(&self) -> u32 {
        self.raw.status
    }
    /// To the response's first byte; 0: none came.
    pub fn first_byte_ns(&self) -> u64 {
        self.raw.first_byte_ns
    }
    /// To its end.
    pub fn total_ns(&self) -> u64 {
        self.raw.total_ns
    }
    /// How long the server asks to be left alone.
    pub fn retry_after_ns(&self) -> u64 {
        self.raw.retry_after_ns
    }
    /// The server's slot; none: it is no server of the pool any more.
    pub fn slot(&self) -> Option<&Cell<S>> {
        slot_at(self.raw.slot)
    }
}

/// A balancer; one instance a worker and pool.
pub trait Balancer: Sized + 'static {
    /// The module.
    type Of: Module;
    /// Memory for each server, zeroed at first; `()`: none.
    type Slot: Plain;
    /// How it chooses.
    const HOW: How = How::Cost;
    /// Slots of this version pass over to the module's next copy; none: it begins anew.
    const SLOT_VERSION: Option<u32> = None;

    /// Makes an instance.
    fn new(
        ctx: &Context<'_>,
        options: &<Self::Of as Module>::Options,
        shared: &<Self::Of as Module>::Shared,
    ) -> Result<Self, Error>;
    /// How many servers are drawn at random, of which the cheapest is taken; 0: all are ranked.
    fn choices(_options: &<Self::Of as Module>::Options) -> u32 {
        0
    }
    /// What it costs to send a request there: the lowest is taken. `pick` is there with
    /// [`How::CostByRequest`].
    fn cost(&self, _server: &Candidate<'_, Self::Slot>, _pick: Option<&Pick<'_, Self::Slot>>) -> f64 {
        f64::NAN
    }
    /// The index of a usable candidate; none: there is none.
    fn pick(&self, _ctx: &Context<'_>, _pick: &Pick<'_, Self::Slot>) -> Option<u32> {
        None
    }
    /// The server got a request.
    fn on_sent(&self, _ctx: &Context<'_>, _server: &Candidate<'_, Self::Slot>) {}
    /// The server begins to answer one.
    fn on_head(&self, _ctx: &Context<'_>, _how: &Feedback<'_, Self::Slot>) {}
    /// A request has left the server.
    fn on_complete(&self, _ctx: &Context<'_>, _how: &Feedback<'_, Self::Slot>) {}
    /// The cost in a few words, for an operator.
    fn describe(&self, _server: &Candidate<'_, Self::Slot>) -> Option<String> {
        None
    }
}

/// For [`module!`](crate::module).
#[doc(hidden)]
pub trait BalancerTable {
    const TABLE: sys::weir_balancer;
}

impl<T: Balancer> BalancerTable for T {
    const TABLE: sys::weir_balancer = {
        let picks = matches!(T::HOW, How::Pick);
        let keeps = T::SLOT_VERSION.is_some() && size_of::<T::Slot>() > 0;
        assert!(size_of::<T::Slot>() <= 4096, "the slot is too large");
        sys::weir_balancer {
            size: size_of::<sys::weir_balancer>() as u32,
            create: Some(make::<T>),
            destroy: Some(destroy::<T>),
            on_members: None,
            pick: if picks { Some(pick::<T>) } else { None },
            on_assign: null(),
            on_complete: Some(on_complete::<T>),
            score: if matches!(T::HOW, How::Cost | How::CostByRequest) {
                Some(score::<T>)
            } else {
                None
            },
            cost: if matches!(T::HOW, How::Cost | How::CostByRequest) {
                Some(cost::<T>)
            } else {
                None
            },
            choices: Some(choices::<T>),
            on_sent: Some(on_sent::<T>),
            save: if keeps { Some(save::<T>) } else { None },
            restore: if keeps { Some(restore::<T>) } else { None },
            instance_size: 0,
            slot_size: size_of::<T::Slot>() as u32,
            flags: match T::HOW {
                How::CostByRequest => sys::BALANCER_BY_REQUEST,
                How::Turns => sys::BALANCER_TURNS,
                _ => 0,
            },
            on_head: Some(on_head::<T>),
        }
    };
}

/// # Safety
/// `make` made the instance as a `T`.
unsafe fn this<'a, T>(instance: *mut c_void) -> &'a T {
    unsafe { &*(instance as *const T) }
}

unsafe extern "C" fn make<T: Balancer>(
    ctx: *mut sys::weir_context,
    conf: *const c_void,
    prepared: *mut c_void,
    instance: *mut *mut c_void,
) -> i32 {
    create::<T::Of, T>(ctx, conf, prepared, instance, T::new)
}

unsafe extern "C" fn choices<T: Balancer>(
    ctx: *mut sys::weir_context,
    conf: *const c_void,
) -> u32 {
    // SAFETY: the descriptor names this table.
    guarded(ctx, By::Fault, 0, || T::choices(unsafe { options_of(conf) }))
}

unsafe extern "C" fn cost<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    candidate: *const sys::weir_candidate,
    pick: *const sys::weir_pick,
) -> c_double {
    guarded(ctx, By::Log, f64::NAN, || {
        // SAFETY: the host lends them for the call.
        let (this, raw, pick) = unsafe { (this::<T>(instance), &*candidate, pick.as_ref()) };
        let pick = pick.map(|raw| Pick { raw, slot: PhantomData });
        this.cost(&Candidate { raw, slot: PhantomData }, pick.as_ref())
    })
}

/// What panics is told by an index that is none.
unsafe extern "C" fn pick<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    pick: *const sys::weir_pick,
) -> u32 {
    // SAFETY: the host lends it for the call.
    let (this, raw) = unsafe { (this::<T>(instance), &*pick) };
    let none = unsafe { (*raw.candidates).count };
    guarded(ctx, By::Log, none, || {
        this.pick(&Context::new(ctx), &Pick { raw, slot: PhantomData }).unwrap_or(sys::PICK_NONE)
    })
}

unsafe extern "C" fn on_sent<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    candidate: *const sys::weir_candidate,
) {
    guarded(ctx, By::Fault, (), || {
        // SAFETY: the host lends them for the call.
        let (this, raw) = unsafe { (this::<T>(instance), &*candidate) };
        this.on_sent(&Context::new(ctx), &Candidate { raw, slot: PhantomData })
    })
}

unsafe extern "C" fn on_head<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    how: *const sys::weir_feedback,
) {
    guarded(ctx, By::Fault, (), || {
        // SAFETY: the host lends them for the call.
        let (this, raw) = unsafe { (this::<T>(instance), &*how) };
        this.on_head(&Context::new(ctx), &Feedback { raw, slot: PhantomData })
    })
}

unsafe extern "C" fn on_complete<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    how: *const sys::weir_feedback,
) {
    guarded(ctx, By::Fault, (), || {
        // SAFETY: the host lends them for the call.
        let (this, raw) = unsafe { (this::<T>(instance), &*how) };
        this.on_complete(&Context::new(ctx), &Feedback { raw, slot: PhantomData })
    })
}

unsafe extern "C" fn score<T: Balancer>(
    ctx: *mut sys::weir_context,
    instance: *mut c_void,
    pick: *const sys::weir_pick,
    index: u32,
    out: *mut sys::weir_score,
) -> i32 {
    guarded(ctx, By::Log, sys::ERROR, || {
        // SAFETY: the host lends them for the call.
        let (this, raw, out) = unsafe { (this::<T>(instance), &*pick, &mut *out) };
        let pick = Pick { raw, slot: PhantomData };
        if let Some(text) = this.describe(&pick.candidate(index)) {
            let mut len = text.len().min(out.text.len() - 1);
            while !text.is_char_boundary(len) {
                len -= 1;
            }
            for (to, from) in out.text.iter_mut().zip(text.bytes().take(len).chain(Some(0))) {
                *to = from as c_char;
            }
        }
        sys::OK
    })
}

unsafe extern "C" fn save<T: Balancer>(
    ctx: *mut sys::weir_context,
    _instance: *mut c_void,
    state: *mut sys::weir_state,
) -> i32 {
    // SAFETY: the host lends it for the call.
    let state = unsafe { &mut *state };
    match T::SLOT_VERSION {
        Some(version) if !state.slot.is_null() => {
            let len = size_of::<T::Slot>();
            if len > state.capacity as usize {
                tell(ctx, By::Log, "the slot is too large to pass over");
                return sys::DECLINED;
            }
            // SAFETY: there is room for it.
            unsafe {
                std::ptr::copy_nonoverlapping(state.slot as *const u8, state.data as *mut u8, len)
            };
            state.version = version;
            state.len = len as u32;
            sys::OK
        }
        _ => sys::DECLINED,
    }
}

unsafe extern "C" fn restore<T: Balancer>(
    _ctx: *mut sys::weir_context,
    _instance: *mut c_void,
    state: *const sys::weir_state,
) -> i32 {
    // SAFETY: the host lends it for the call.
    let state = unsafe { &*state };
    let len = size_of::<T::Slot>();
    if state.slot.is_null() || T::SLOT_VERSION != Some(state.version) || state.len as usize != len {
        return sys::DECLINED;
    }
    // SAFETY: a slot of that size.
    unsafe { std::ptr::copy_nonoverlapping(state.data as *const u8, state.slot as *mut u8, len) };
    sys::OK
}
