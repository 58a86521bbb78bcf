//! Read buffers, which pass from connection to connection of one thread.
//!
//! An idle connection holds none, and a busy one allocates none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room for heads, in bytes: nearly every request fits, pipelined ones by the dozen.
pub(crate) const SMALL: usize = 8 * 1024;

/// Room for bodies, in bytes.
pub(crate) const LARGE: usize = 64 * 1024;

/// So many of each are kept by a thread: a connection holds one only while it is served.
const KEPT_SMALL: usize = 32;
const KEPT_LARGE: usize = 4;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { small: Vec::new(), large: Vec::new() }) };
}

struct Kept {
    small: Vec<BytesMut>,
    large: Vec<BytesMut>,
}

/// An empty buffer: with room for at least `room` bytes if that is [`LARGE`], or half of it if it is
/// [`SMALL`].
pub(crate) fn take(room: usize) -> BytesMut {
    let kept = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        if room > SMALL { kept.large.pop() } else { kept.small.pop() }
    });
    match kept {
        Ok(Some(buffer)) => buffer,
        _ => BytesMut::with_capacity(room),
    }
}

/// Gives up `buffer`, which is empty. Memory that something else still refers to is let go of, once
/// what is left beside it does not do for the next heads.
pub(crate) fn give(mut buffer: BytesMut) {
    debug_assert!(buffer.is_empty());
    let is_small = (SMALL / 2..=SMALL).contains(&buffer.capacity());
    // Parts of the allocation have been split off; when those are gone, all of it comes back.
    let is_large = !is_small && (buffer.capacity() >= LARGE || buffer.try_reclaim(LARGE));
    if !is_small && !is_large && !buffer.try_reclaim(SMALL) {
        return;
    }
    // At a thread's end there is nobody left to keep it.
    let _ = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        let (list, most) =
            if is_large { (&mut kept.large, KEPT_LARGE) } else { (&mut kept.small, KEPT_SMALL) };
        if list.len() < most {
            list.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back() {
        let first = take(SMALL);
        let at = first.as_ptr();
        give(first);
        let mut others = Vec::new();
        // So many heads that the memory has to be used again and again.
        for _ in 0..1000 {
            let mut buffer = take(SMALL);
            assert!(buffer.is_empty() && buffer.capacity() >= SMALL / 2);
            let place = buffer.as_ptr().addr().checked_sub(at.addr());
            assert!(place.is_some_and(|place| place < SMALL), "it is the same memory");
            buffer.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
            drop(buffer.split().freeze());
            give(buffer);
            // One of these would get the place of what was let go of.
            others.push(BytesMut::with_capacity(SMALL));
        }
    }

    #[test]
    fn what_is_still_referred_to_is_not_kept() {
        let mut buffer = take(SMALL);
        buffer.resize(buffer.capacity(), b'x');
        let kept_by_an_application = buffer.split().freeze();
        give(buffer);
        let again = take(SMALL);
        assert_ne!(again.as_ptr(), kept_by_an_application.as_ptr());
    }

    #[test]
    fn sizes_are_kept_apart() {
        give(BytesMut::with_capacity(LARGE));
        let small = take(SMALL);
        assert!(small.capacity() < LARGE);
        assert!(take(LARGE).capacity() >= LARGE);
    }

    #[test]
    fn a_large_one_comes_back_as_one() {
        let mut buffer = take(LARGE);
        let at = buffer.as_ptr();
        buffer.resize(buffer.capacity() - SMALL / 4, b'x');
        drop(buffer.split());
        give(buffer);
        assert_eq!(take(LARGE).as_ptr(), at, "all of it is there again");
    }

    #[test]
    fn no_more_than_a_few_are_kept() {
        (0..100).for_each(|_| give(BytesMut::with_capacity(SMALL)));
        let kept = KEPT.with_borrow(|kept| kept.small.len());
        assert_eq!(kept, KEPT_SMALL);
    }
}
