//! Bodies of answers, read piece by piece up to a limit.
//!
//! Guarantees: a server that sends without end fills no memory; the error names the limit.

use bytes::{Bytes, BytesMut};
use std::fmt;

/// The largest answer of any service. The largest expected is a page of a thousand hosts with some kilobytes each, so a few
/// megabytes; the function has 1.5 GB on the smallest plan, and two such pages are read at the same time.
pub(crate) const LARGEST: Size = Size(64 << 20);

/// A limit, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(usize);

impl Size {
    /// Whether so many bytes are too many.
    pub(crate) fn is_exceeded_by(self, bytes: usize) -> bool {
        bytes > self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB", self.0 >> 20)
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the answer is larger than the {LARGEST} that this program reads")]
    TooLarge,
    #[error(transparent)]
    Transport(#[from] reqwest::Error),
}

/// The body of an answer.
pub(crate) async fn body(mut answer: reqwest::Response) -> Result<Bytes, BodyError> {
    let declared = answer.content_length().and_then(|length| usize::try_from(length).ok());
    if declared.is_some_and(|length| LARGEST.is_exceeded_by(length)) {
        return Err(BodyError::TooLarge);
    }
    let mut read = BytesMut::with_capacity(declared.unwrap_or_default());
    while let Some(piece) = answer.chunk().await? {
        if LARGEST.is_exceeded_by(read.len() + piece.len()) {
            return Err(BodyError::TooLarge);
        }
        read.extend_from_slice(&piece);
    }
    Ok(read.freeze())
}

#[cfg(test)]
pub(crate) use tests::endless;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that sends megabytes until nobody listens any more, and says how many it sent.
    pub(crate) fn endless(head: &'static str) -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            // The request is short, and comes in one piece.
            assert!(client.read(&mut [0; 4096]).unwrap() > 0);
            client.write_all(head.as_bytes()).unwrap();
            let piece = vec![b'x'; 1 << 20];
            (0..10_000).take_while(|_| client.write_all(&piece).is_ok()).count()
        });
        (url, server)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_without_an_end_is_read_up_to_the_limit_and_the_error_names_it() {
        for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99000000000\r\n\r\n"] {
            let (url, server) = endless(head);
            let error = body(reqwest::get(url).await.unwrap()).await.unwrap_err();
            assert!(error.to_string().contains("larger than the 64 MB"), "{error}");
            let megabytes = server.join().unwrap();
            assert!(megabytes < 200, "{megabytes} MB were taken from it");
        }
    }

    #[tokio::test]
    async fn an_answer_of_any_smaller_size_is_read_whole() {
        let server = wiremock::MockServer::start().await;
        for length in [0, 1, 3_000_000] {
            server.reset().await;
            let answer = wiremock::ResponseTemplate::new(200).set_body_bytes(vec![7; length]);
            wiremock::Mock::given(wiremock::matchers::any()).respond_with(answer).mount(&server).await;
            assert_eq!(body(reqwest::get(server.uri()).await.unwrap()).await.unwrap().len(), length);
        }
    }
}
