//! The client certificate of the connection, as PostgreSQL's TLS handshake proved it.

use kakunin_core::limits::CERTIFICATE_BYTES_MAX;

/// DER of the client certificate, or `None` when the connection has none.
pub fn certificate() -> Option<Vec<u8>> {
    let mut buffer = vec![0; CERTIFICATE_BYTES_MAX];
    // SAFETY: the buffer has the length that is passed; the function writes no more than that.
    let length = unsafe { kakunin_peer_certificate(buffer.as_mut_ptr(), buffer.len() as i32) };
    let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
    buffer.truncate(length);
    Some(buffer)
}

unsafe extern "C" {
    fn kakunin_peer_certificate(out: *mut u8, size: i32) -> i32;
}
