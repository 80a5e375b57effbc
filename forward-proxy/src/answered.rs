//! The body of an answer with what ends together with it: the exchange (until then the connection is not idle) and the
//! line in the log.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use common_http::guarded::Exchange;
use common_http::upstream::{PassedBody, ResponseBody, SendError};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::access_log::Record;

/// See the module's words.
#[derive(Debug)]
pub struct Answered {
    body: Kind,
    record: Record,
    log: bool,
    _exchange: Exchange,
}

#[derive(Debug)]
enum Kind {
    Upstream(ResponseBody<PassedBody>),
    Own(Full<Bytes>),
}

impl Answered {
    /// A server's body, or our own bytes.
    #[must_use]
    pub fn new(body: Result<ResponseBody<PassedBody>, Bytes>, exchange: Exchange, record: Record, log: bool) -> Self {
        let body = match body {
            Ok(body) => Kind::Upstream(body),
            Err(bytes) => Kind::Own(Full::new(bytes)),
        };
        Self { body, record, log, _exchange: exchange }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = SendError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SendError>>> {
        let me = self.get_mut();
        let frame = match &mut me.body {
            Kind::Upstream(body) => Pin::new(body).poll_frame(cx),
            Kind::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        };
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            me.record.bytes = me.record.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Kind::Upstream(body) => body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Kind::Upstream(body) => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if self.log {
            self.record.write();
        }
    }
}
