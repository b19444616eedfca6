// SPDX-License-Identifier: MIT
//! The structs of the headers in `weir/`, by hand, as far as this crate needs them. `tests/layout.rs`
//! compares each size and offset with what a C compiler says of the headers.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_double, c_void};

pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 5;

pub const OK: i32 = 0;
pub const DECLINED: i32 = 1;
pub const DONE: i32 = 2;
pub const INVALID: i32 = -1;
pub const NO_MEMORY: i32 = -2;
pub const ERROR: i32 = -3;

pub const LOG_ERROR: u32 = 0;

pub const NO_REF: u32 = u32::MAX;
pub const PICK_NONE: u32 = u32::MAX;
pub const NO_TITLE: u32 = u32::MAX;
pub const BALANCER_BY_REQUEST: u32 = 1;
pub const BALANCER_TURNS: u32 = 2;
pub const WEIGHT_ONE: f64 = 256.0;

/// Defines structs of C, and for the test of layouts the offset of each field.
macro_rules! structs {
    ($($(#[$meta:meta])* pub struct $name:ident { $(pub $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            pub struct $name { $(pub $field: $kind,)* }
        )*

        /// Name, size, and the fields' names and offsets of each struct.
        pub fn layouts() -> Vec<(&'static str, usize, Vec<(&'static str, usize)>)> {
            vec![$({
                let place = std::mem::MaybeUninit::<$name>::uninit();
                let base = place.as_ptr();
                (
                    stringify!($name),
                    std::mem::size_of::<$name>(),
                    // SAFETY: addresses alone are taken, within one allocation.
                    vec![$((stringify!($field), unsafe {
                        std::ptr::addr_of!((*base).$field) as usize - base as usize
                    }),)*],
                )
            },)*]
        }
    };
}

pub type any_fn = *const c_void;

structs! {
    #[derive(Clone, Copy)]
    pub struct weir_str {
        pub ptr: *const c_char,
        pub len: usize,
    }
    pub struct weir_context {
        pub host: *const weir_host,
    }
    pub struct weir_request {
        pub host: *const weir_host,
    }
    pub struct weir_response {
        pub host: *const weir_host,
    }
    #[derive(Clone, Copy)]
    pub struct weir_field {
        pub name: weir_str,
        pub value: weir_str,
    }
    #[derive(Clone, Copy)]
    pub struct weir_peer {
        pub address: weir_str,
        pub port: u16,
    }
    pub struct weir_list {
        pub items: *const c_void,
        pub count: usize,
    }
    pub struct weir_host {
        pub size: u32,
        pub abi_major: u16,
        pub abi_minor: u16,
        pub log: unsafe extern "C" fn(*mut weir_context, u32, *const c_char, *mut c_void),
        pub now_ns: unsafe extern "C" fn(*mut weir_context) -> u64,
        pub wall_ms: unsafe extern "C" fn(*mut weir_context) -> u64,
        pub worker_index: unsafe extern "C" fn(*mut weir_context) -> u32,
        pub worker_count: unsafe extern "C" fn(*mut weir_context) -> u32,
        pub pool_name: unsafe extern "C" fn(*mut weir_context) -> weir_str,
        pub random: unsafe extern "C" fn(*mut weir_context, *mut c_void, usize),
        pub hmac_sha256: any_fn,
        pub secret: any_fn,
        pub timer_new: any_fn,
        pub timer_set: any_fn,
        pub timer_cancel: any_fn,
        pub timer_free: any_fn,
        pub post: any_fn,
        pub file_open: any_fn,
        pub file_write: any_fn,
        pub file_close: any_fn,
        pub check_error:
            unsafe extern "C" fn(*mut weir_check, *const c_void, *const c_char, *mut c_void),
        pub check_pool: unsafe extern "C" fn(*mut weir_check, *const weir_str) -> u32,
        pub check_route: unsafe extern "C" fn(*mut weir_check, *const c_void, weir_str) -> u32,
        pub request_str: unsafe extern "C" fn(*const weir_request, u32) -> weir_str,
        pub request_peer: unsafe extern "C" fn(*const weir_request) -> weir_peer,
        pub request_tls: unsafe extern "C" fn(*const weir_request) -> bool,
        pub request_header:
            unsafe extern "C" fn(*const weir_request, weir_str, *mut weir_str) -> bool,
        pub request_field_count: unsafe extern "C" fn(*const weir_request) -> usize,
        pub request_field: unsafe extern "C" fn(*const weir_request, usize) -> weir_field,
        pub request_set_header:
            unsafe extern "C" fn(*mut weir_request, weir_str, weir_str) -> i32,
        pub request_add_header:
            unsafe extern "C" fn(*mut weir_request, weir_str, weir_str) -> i32,
        pub request_remove_header: unsafe extern "C" fn(*mut weir_request, weir_str) -> usize,
        pub request_alloc: unsafe extern "C" fn(*mut weir_request, usize) -> *mut c_void,
        pub request_slot: any_fn,
        pub response_status: unsafe extern "C" fn(*const weir_response) -> u32,
        pub response_header:
            unsafe extern "C" fn(*const weir_response, weir_str, *mut weir_str) -> bool,
        pub response_field_count: unsafe extern "C" fn(*const weir_response) -> usize,
        pub response_field: unsafe extern "C" fn(*const weir_response, usize) -> weir_field,
        pub response_set_header:
            unsafe extern "C" fn(*mut weir_response, weir_str, weir_str) -> i32,
        pub response_add_header:
            unsafe extern "C" fn(*mut weir_response, weir_str, weir_str) -> i32,
        pub response_remove_header: unsafe extern "C" fn(*mut weir_response, weir_str) -> usize,
        pub reply_begin:
            unsafe extern "C" fn(*mut weir_request, u32, *const weir_field, usize, i64) -> i32,
        pub reply_write: unsafe extern "C" fn(*mut weir_request, *const c_void, usize) -> usize,
        pub reply_end: unsafe extern "C" fn(*mut weir_request),
        pub reply_abort: unsafe extern "C" fn(*mut weir_request),
        pub request_set_path: unsafe extern "C" fn(*mut weir_request, weir_str) -> i32,
        pub response_content_length: unsafe extern "C" fn(*const weir_response) -> i64,
        pub response_transform: any_fn,
        pub transform_write: any_fn,
        pub check_listener: any_fn,
        pub shared: any_fn,
        pub request_credentials: any_fn,
        pub block_name: unsafe extern "C" fn(*mut weir_context) -> weir_str,
        pub reply_error:
            unsafe extern "C" fn(*mut weir_request, u32, *const weir_field, usize) -> i32,
        pub control_call: any_fn,
        pub control_cancel: any_fn,
        pub control_subscribe: any_fn,
        pub control_unsubscribe: any_fn,
        pub control_auth_token: any_fn,
        pub control_auth_password: any_fn,
        pub control_auth_cancel: any_fn,
        pub control_auth_link: any_fn,
        pub control_auth_user: any_fn,
        pub control_auth_peer: any_fn,
        pub control_openapi: any_fn,
        pub stats_visit: any_fn,
        pub reason_name: any_fn,
        pub health_eject: any_fn,
        pub state_dir: any_fn,
        pub request_session: any_fn,
        pub check_file: any_fn,
        pub control_auth_again: any_fn,
        pub operation_caller: any_fn,
        pub operation_text: any_fn,
        pub operation_number: any_fn,
        pub operation_answer: any_fn,
        pub operation_problem: any_fn,
        pub operation_matches: any_fn,
        pub operation_change: any_fn,
        pub operation_finish: any_fn,
        pub control_work: any_fn,
        pub control_event: any_fn,
        pub control_operations: any_fn,
        pub stats_counters: any_fn,
        pub metric_add: any_fn,
        pub stats_metrics: any_fn,
        pub stats_modules: any_fn,
        pub fault: unsafe extern "C" fn(*mut weir_context, *const c_char),
    }
    pub struct weir_module {
        pub size: u32,
        pub abi_major: u16,
        pub abi_minor: u16,
        pub name: *const c_char,
        pub version: *const c_char,
        pub license: *const c_char,
        pub summary: *const c_char,
        pub options: *const weir_options,
        pub load: any_fn,
        pub conf_create: Option<
            unsafe extern "C" fn(
                *mut weir_context,
                *mut weir_check,
                *const c_void,
                *mut *mut c_void,
            ) -> i32,
        >,
        pub conf_free: Option<unsafe extern "C" fn(*mut weir_context, *mut c_void)>,
        pub worker_start: any_fn,
        pub worker_stop: any_fn,
        pub router: *const weir_router,
        pub balancer: *const weir_balancer,
        pub sticky: any_fn,
        pub health: any_fn,
        pub filter: *const weir_filter,
        pub handler: any_fn,
        pub logger: any_fn,
        pub store: any_fn,
        pub control: any_fn,
        pub metrics: any_fn,
    }
    pub struct weir_option {
        pub name: *const c_char,
        pub type_: u32,
        pub element: u32,
        pub offset: u32,
        pub contexts: u32,
        pub flags: u32,
        pub fallback: *const c_char,
        pub minimum: *const c_char,
        pub maximum: *const c_char,
        pub document: *const c_char,
        pub names: any_fn,
        pub block: any_fn,
    }
    pub struct weir_options {
        pub size: u32,
        pub option_size: u32,
        pub conf_size: u32,
        pub count: u32,
        pub rows: *const weir_option,
        pub title_offset: u32,
    }
    pub struct weir_candidate {
        pub id: u64,
        pub name: weir_str,
        pub weight: u32,
        pub reserved: u32,
        pub in_flight: *const u32,
        pub latency_us: *const u32,
        pub slot: *mut c_void,
        pub limit: u32,
        pub full_weight: u32,
    }
    pub struct weir_candidates {
        pub size: u32,
        pub candidate_size: u32,
        pub count: u32,
        pub reserved: u32,
        pub first: *const weir_candidate,
    }
    pub struct weir_pick {
        pub size: u32,
        pub attempt: u32,
        pub candidates: *const weir_candidates,
        pub request: *mut weir_request,
        pub usable: unsafe extern "C" fn(*const weir_pick, u32) -> bool,
        pub dry_run: bool,
    }
    pub struct weir_feedback {
        pub size: u32,
        pub index: u32,
        pub id: u64,
        pub outcome: u32,
        pub status: u32,
        pub first_byte_ns: u64,
        pub total_ns: u64,
        pub slot: *mut c_void,
        pub retry_after_ns: u64,
    }
    pub struct weir_score {
        pub size: u32,
        pub reserved: u32,
        pub value: c_double,
        pub text: [c_char; 96],
    }
    pub struct weir_state {
        pub size: u32,
        pub version: u32,
        pub id: u64,
        pub slot: *mut c_void,
        pub data: *mut c_void,
        pub len: u32,
        pub capacity: u32,
    }
    pub struct weir_balancer {
        pub size: u32,
        pub create: Option<create_fn>,
        pub destroy: Option<destroy_fn>,
        pub on_members: Option<
            unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_candidates) -> i32,
        >,
        pub pick:
            Option<unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_pick) -> u32>,
        pub on_assign: any_fn,
        pub on_complete: Option<
            unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_feedback),
        >,
        pub score: Option<
            unsafe extern "C" fn(
                *mut weir_context,
                *mut c_void,
                *const weir_pick,
                u32,
                *mut weir_score,
            ) -> i32,
        >,
        pub cost: Option<
            unsafe extern "C" fn(
                *mut weir_context,
                *mut c_void,
                *const weir_candidate,
                *const weir_pick,
            ) -> c_double,
        >,
        pub choices: Option<unsafe extern "C" fn(*mut weir_context, *const c_void) -> u32>,
        pub on_sent: Option<
            unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_candidate),
        >,
        pub save:
            Option<unsafe extern "C" fn(*mut weir_context, *mut c_void, *mut weir_state) -> i32>,
        pub restore: Option<
            unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_state) -> i32,
        >,
        pub instance_size: u32,
        pub slot_size: u32,
        pub flags: u32,
        pub on_head: Option<
            unsafe extern "C" fn(*mut weir_context, *mut c_void, *const weir_feedback),
        >,
    }
    pub struct weir_filter_verdict {
        pub size: u32,
        pub status: u32,
        pub location: weir_str,
        pub why: [c_char; 160],
    }
    pub struct weir_filter {
        pub size: u32,
        pub create: Option<create_fn>,
        pub destroy: Option<destroy_fn>,
        pub on_request:
            Option<unsafe extern "C" fn(*mut weir_context, *mut c_void, *mut weir_request) -> i32>,
        pub on_response: Option<
            unsafe extern "C" fn(
                *mut weir_context,
                *mut c_void,
                *mut weir_request,
                *mut weir_response,
            ),
        >,
        pub on_response_data: any_fn,
        pub on_response_close: any_fn,
        pub explain: any_fn,
    }
    pub struct weir_route_result {
        pub size: u32,
        pub pool: u32,
        pub route: u32,
        pub status: u32,
        pub location: weir_str,
    }
    pub struct weir_router {
        pub size: u32,
        pub create: Option<create_fn>,
        pub destroy: Option<destroy_fn>,
        pub route: Option<
            unsafe extern "C" fn(
                *mut weir_context,
                *mut c_void,
                *mut weir_request,
                *mut weir_route_result,
            ) -> i32,
        >,
        pub explain: any_fn,
    }
}

/// Opaque.
pub struct weir_check {
    _private: [u8; 0],
}

pub type create_fn = unsafe extern "C" fn(
    *mut weir_context,
    *const c_void,
    *mut c_void,
    *mut *mut c_void,
) -> i32;
pub type destroy_fn = unsafe extern "C" fn(*mut weir_context, *mut c_void);

/// A struct in static storage, with pointers to other static storage in it, which nobody changes.
#[repr(transparent)]
pub struct Fixed<T>(pub T);
// SAFETY: it is read alone.
unsafe impl<T> Sync for Fixed<T> {}
