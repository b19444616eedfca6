// SPDX-License-Identifier: MIT
//! Requests and responses; what they give is valid for the callback, until it is changed.
use std::marker::PhantomData;

use crate::host::{bytes_of, str_of, Error};
use crate::sys;

const METHOD: u32 = 0;
const HOST: u32 = 2;
const PATH: u32 = 4;
const QUERY: u32 = 5;
const SERVER: u32 = 11;

/// A request.
pub struct Request<'a> {
    pub(crate) raw: *mut sys::weir_request,
    life: PhantomData<&'a mut ()>,
}

/// The response on its way to the client.
pub struct Response<'a> {
    raw: *mut sys::weir_response,
    life: PhantomData<&'a mut ()>,
}

fn done(status: i32) -> Result<(), Error> {
    match status {
        sys::OK => Ok(()),
        sys::NO_MEMORY => Err("there is no memory left".into()),
        sys::INVALID => Err("a field, path or status that cannot be, or a second answer".into()),
        status => Err(Error(format!("the host says {}", status))),
    }
}

impl<'a> Request<'a> {
    pub(crate) fn new(raw: *mut sys::weir_request) -> Self {
        Request { raw, life: PhantomData }
    }

    fn host(&self) -> &sys::weir_host {
        // SAFETY: requests are made in hooks, for their time.
        unsafe { &*(*self.raw).host }
    }

    fn text(&self, which: u32) -> &[u8] {
        // SAFETY: as for all services; borrowed until something changes.
        unsafe { bytes_of((self.host().request_str)(self.raw, which)) }
    }

    /// GET, POST, ...
    pub fn method(&self) -> &[u8] {
        self.text(METHOD)
    }
    /// In lower case, without port.
    pub fn host_name(&self) -> &[u8] {
        self.text(HOST)
    }
    /// Normalised.
    pub fn path(&self) -> &[u8] {
        self.text(PATH)
    }
    /// Without the question mark.
    pub fn query(&self) -> &[u8] {
        self.text(QUERY)
    }
    /// The id of the server that it went to; empty: none yet.
    pub fn server(&self) -> &[u8] {
        self.text(SERVER)
    }
    /// The client's address, without port.
    pub fn address(&self) -> &[u8] {
        unsafe { bytes_of((self.host().request_peer)(self.raw).address) }
    }
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut value = str_of(b"");
        let name = str_of(name.as_bytes());
        unsafe {
            (self.host().request_header)(self.raw, name, &mut value).then(|| bytes_of(value))
        }
    }
    /// Replaces all fields of that name.
    pub fn set_header(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (name, value) = (str_of(name.as_bytes()), str_of(value));
        done(unsafe { (self.host().request_set_header)(self.raw, name, value) })
    }
    /// How many there were.
    pub fn remove_header(&mut self, name: &str) -> usize {
        unsafe { (self.host().request_remove_header)(self.raw, str_of(name.as_bytes())) }
    }
    /// What routers and the server see.
    pub fn set_path(&mut self, path: &[u8]) -> Result<(), Error> {
        done(unsafe { (self.host().request_set_path)(self.raw, str_of(path)) })
    }

    /// A whole answer.
    pub(crate) fn reply(&self, status: u32, kind: &str, body: &[u8]) -> Result<(), Error> {
        let field =
            sys::weir_field { name: str_of(b"Content-Type"), value: str_of(kind.as_bytes()) };
        // SAFETY: fields and body are copied.
        unsafe {
            let host = self.host();
            let count = usize::from(!kind.is_empty());
            done((host.reply_begin)(self.raw, status, &field, count, body.len() as i64))?;
            (host.reply_write)(self.raw, body.as_ptr() as *const _, body.len());
            (host.reply_end)(self.raw);
        }
        Ok(())
    }

    pub(crate) fn reply_error(&self, status: u32) -> Result<(), Error> {
        let none = std::ptr::null();
        done(unsafe { (self.host().reply_error)(self.raw, status, none, 0) })
    }

    /// A copy that lives as long as the request.
    pub(crate) fn keep(&self, bytes: &[u8]) -> Result<sys::weir_str, Error> {
        let to = unsafe { (self.host().request_alloc)(self.raw, bytes.len()) } as *mut u8;
        if to.is_null() {
            return done(sys::NO_MEMORY).map(|_| str_of(b""));
        }
        // SAFETY: there are that many bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Ok(sys::weir_str { ptr: to as *const _, len: bytes.len() })
    }
}

impl<'a> Response<'a> {
    pub(crate) fn new(raw: *mut sys::weir_response) -> Self {
        Response { raw, life: PhantomData }
    }

    fn host(&self) -> &sys::weir_host {
        // SAFETY: as in Request.
        unsafe { &*(*self.raw).host }
    }

    /// Its status.
    pub fn status(&self) -> u32 {
        unsafe { (self.host().response_status)(self.raw) }
    }
    /// Length of the body; none: not known.
    pub fn content_length(&self) -> Option<u64> {
        u64::try_from(unsafe { (self.host().response_content_length)(self.raw) }).ok()
    }
    /// The first field of that name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut value = str_of(b"");
        let name = str_of(name.as_bytes());
        unsafe {
            (self.host().response_header)(self.raw, name, &mut value).then(|| bytes_of(value))
        }
    }
    /// Replaces all fields of that name.
    pub fn set_header(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (name, value) = (str_of(name.as_bytes()), str_of(value));
        done(unsafe { (self.host().response_set_header)(self.raw, name, value) })
    }
    /// Adds one.
    pub fn add_header(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        let (name, value) = (str_of(name.as_bytes()), str_of(value));
        done(unsafe { (self.host().response_add_header)(self.raw, name, value) })
    }
    /// How many there were.
    pub fn remove_header(&mut self, name: &str) -> usize {
        unsafe { (self.host().response_remove_header)(self.raw, str_of(name.as_bytes())) }
    }
}
