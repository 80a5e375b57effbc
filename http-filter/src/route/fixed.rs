//! A fixed answer, whole in memory before the first request comes.

use bytes::Bytes;
use common::config::{Files, Respond, RespondBody};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// Largest file of a fixed answer or error page, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// See the module's words.
#[derive(Debug)]
pub struct Fixed {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
}

impl Fixed {
    /// From the configuration and its files.
    ///
    /// # Errors
    /// The file is too large or was not read.
    pub fn new(own: &Respond, files: &Files) -> Result<Self, String> {
        let body = match &own.body {
            RespondBody::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            RespondBody::File(path) => {
                let bytes = files.get(path)?;
                if bytes.len() > MAX_FILE {
                    return Err(format!("{} is larger than {MAX_FILE} bytes", path.display()));
                }
                Bytes::copy_from_slice(bytes)
            }
        };
        let content_type = HeaderValue::try_from(&*own.content_type).map_err(|error| error.to_string())?;
        let status = StatusCode::from_u16(own.status).map_err(|error| error.to_string())?;
        Ok(Self { status, content_type, body })
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer.
    pub fn respond(&self) -> Response<Bytes> {
        let mut response = Response::new(self.body.clone());
        *response.status_mut() = self.status;
        if !self.body.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        }
        response
    }
}
