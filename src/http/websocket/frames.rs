//! Watches what comes over a socket for messages that are not finished: how much of one has come,
//! and for how long it has been coming. The library that puts messages together tells neither.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::arriving::{Arrivals, Arriving};

/// How much memory the library takes for a byte of a message: what was read, what was put together,
/// and room for more.
const COPIES: usize = 3;
/// The longest head of a frame that there is.
const MAX_HEAD: usize = 14;

/// A connection that fails when a message takes too long, or more memory than there is.
pub(super) struct Watched<S> {
    io: S,
    frames: Frames,
    arrivals: Arrivals,
    address: IpAddr,
    timeout: Duration,
    unfinished: Option<Unfinished>,
}

/// A message of which a part has come.
struct Unfinished {
    number: u64,
    counted: usize,
    arriving: Arriving,
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub(super) fn new(io: S, arrivals: Arrivals, address: IpAddr, timeout: Duration) -> Self {
        Self {
            io,
            frames: Frames::default(),
            arrivals,
            address,
            timeout,
            unfinished: None,
        }
    }

    /// Counts what has come since the last time.
    fn count(&mut self) -> io::Result<()> {
        let Some((number, bytes)) = self.frames.unfinished() else {
            self.unfinished = None;
            return Ok(());
        };
        let known = self.unfinished.take().filter(|old| old.number == number);
        let unfinished = self.unfinished.insert(known.unwrap_or_else(|| Unfinished {
            number,
            counted: 0,
            arriving: self.arrivals.begin(self.address),
            timer: Box::pin(tokio::time::sleep_until(Instant::now() + self.timeout)),
        }));
        let bytes = bytes * COPIES;
        if Instant::now() > unfinished.timer.deadline() + self.timeout {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let new = bytes - unfinished.counted;
        unfinished.counted = bytes;
        let grown = unfinished.arriving.grow(new);
        grown.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(unfinished) = &mut self.unfinished else {
            return Ok(());
        };
        if unfinished.arriving.poll_cut(cx).is_ready() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        match unfinished.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        // What has come in time may have been left lying by us.
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buffer) else {
            self.check(cx)?;
            return Poll::Pending;
        };
        read?;
        self.frames.feed(&buffer.filled()[before..]);
        Poll::Ready(self.count())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Where in a stream of frames we are (RFC 6455, section 5.2).
#[derive(Debug, Default)]
struct Frames {
    head: [u8; MAX_HEAD],
    /// Bytes of a head that have come.
    have: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
    is_control: bool,
    is_last: bool,
    in_message: bool,
    /// Of the message, or the last one.
    number: u64,
    /// Bytes of the message so far.
    bytes: usize,
}

impl Frames {
    fn feed(&mut self, mut data: &[u8]) {
        while let Some(first) = data.first() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX);
                let length = length.min(data.len());
                data = &data[length..];
                self.left -= length as u64;
                if !self.is_control {
                    self.bytes += length;
                }
            } else {
                self.head[self.have] = *first;
                self.have += 1;
                data = &data[1..];
                if self.have < length_of_head(&self.head[..self.have]) {
                    continue;
                }
                self.begin();
            }
            if self.left == 0 && !self.is_control && self.is_last {
                self.in_message = false;
            }
        }
    }

    /// A head is complete.
    fn begin(&mut self) {
        let head = &self.head[..self.have];
        self.is_control = head[0] & 0x08 != 0;
        self.is_last = head[0] & 0x80 != 0;
        self.left = match head[1] & 0x7f {
            126 => u16::from_be_bytes([head[2], head[3]]).into(),
            127 => head[2..10]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
            length => length.into(),
        };
        if !self.is_control {
            if !self.in_message {
                self.in_message = true;
                self.number += 1;
                self.bytes = 0;
            }
            self.bytes += self.have;
        }
        self.have = 0;
    }

    /// The message of which a part has come, and how many bytes of it.
    fn unfinished(&self) -> Option<(u64, usize)> {
        match self.in_message {
            true => Some((self.number, self.bytes)),
            false => (self.have > 0 || self.left > 0).then_some((self.number + 1, 0)),
        }
    }
}

/// Bytes of a head that begins like this, as far as that is known.
fn length_of_head(head: &[u8]) -> usize {
    let Some(second) = head.get(1) else {
        return 2;
    };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = match second & 0x80 {
        0 => 0,
        _ => 4,
    };
    2 + length + mask
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tungstenite::protocol::frame::{Frame, FrameHeader};

    use super::*;

    fn frame(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            is_final,
            opcode,
            mask: Some([1, 2, 3, 4]),
            ..FrameHeader::default()
        };
        let mut bytes = Vec::new();
        let frame = Frame::from_payload(header, payload.to_vec().into());
        frame.format(&mut bytes).expect("a vector takes it");
        bytes
    }

    fn text(is_final: bool, length: usize) -> Vec<u8> {
        frame(OpCode::Data(Data::Text), is_final, &vec![b'x'; length])
    }

    #[test]
    fn whole_messages_leave_nothing_unfinished() {
        let mut all = Vec::new();
        for length in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
            all.extend(text(true, length));
            all.extend(frame(OpCode::Control(Control::Ping), true, b"?"));
        }
        for size in [1, 2, 3, 1000, all.len()] {
            let mut frames = Frames::default();
            for piece in all.chunks(size) {
                frames.feed(piece);
            }
            assert_eq!(frames.unfinished(), None, "{size}");
            assert_eq!(frames.number, 7, "{size}");
        }
    }

    #[test]
    fn parts_are_counted_whatever_comes_between() {
        let mut frames = Frames::default();
        frames.feed(&text(false, 1000));
        let (number, bytes) = frames.unfinished().expect("it is not the last frame");
        assert!(bytes > 1000);
        frames.feed(&frame(OpCode::Control(Control::Ping), true, b"?"));
        assert_eq!(frames.unfinished(), Some((number, bytes)));
        let rest = frame(OpCode::Data(Data::Continue), true, &[b'x'; 500]);
        frames.feed(&rest[..100]);
        assert_eq!(frames.unfinished(), Some((number, bytes + 100)));
        frames.feed(&rest[100..]);
        assert_eq!(frames.unfinished(), None);
        frames.feed(&text(true, 3)[..1]);
        assert!(frames.unfinished().is_some());
    }
}
