//! What the Azure SDK needs, in one place: its options, our attempts, and the text of its errors.
//!
//! Guarantees: nothing is retried but by [`attempts`], within the caller's limits; no error's text holds a query string.

mod shown;
mod sign_in;

pub use shown::shows;
pub(crate) use sign_in::{Issuer, SignInError};

use crate::bounded::{BodyError, LARGEST};
use crate::report::{UNTRUSTED, is_untrusted};
use crate::retry::{Again, retry};
use azure_core::Error;
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport,
};
use futures::StreamExt;
use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The options of every Azure client: our own HTTP client, and no retries of the SDK's.
pub(crate) fn client_options(http: reqwest::Client) -> ClientOptions {
    ClientOptions {
        transport: Some(Transport::new(Arc::new(Bounded(http)))),
        // The SDK's own retries would go on for over a minute, past every deadline of ours.
        retry: RetryOptions::none(),
        ..ClientOptions::default()
    }
}

/// Our HTTP client, with answers up to the limit of [`bounded`](crate::bounded).
#[derive(Debug)]
struct Bounded(reqwest::Client);

impl HttpClient for Bounded {
    fn execute_request<'life0, 'life1, 'future>(
        &'life0 self,
        request: &'life1 Request,
    ) -> Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'future>>
    where
        'life0: 'future,
        'life1: 'future,
        Self: 'future,
    {
        Box::pin(async move {
            let (status, headers, body) = self.0.execute_request(request).await?.deconstruct();
            let mut read = 0;
            let body = body.map(move |piece| {
                let piece = piece?;
                read += piece.len();
                if LARGEST.is_exceeded_by(read) {
                    return Err(Error::new(ErrorKind::DataConversion, BodyError::TooLarge));
                }
                Ok(piece)
            });
            Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
        })
    }
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// All attempts together, with the waits between them.
    pub(crate) call: Duration,
    pub(crate) attempt: Duration,
}

/// Makes attempts until one succeeds, fails with an error that `again` does not retry, or the limit is reached.
///
/// # Errors
/// The last attempt's error. An attempt that exceeds its limit fails with an error without an HTTP status.
pub(crate) async fn attempts<T, F>(
    limits: Limits,
    again: impl Fn(&Error) -> Again,
    work: impl Fn() -> F + Sync,
) -> azure_core::Result<T>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    let deadline = Instant::now() + limits.call;
    let attempt = |_| async {
        let late = |_| Error::with_message(ErrorKind::Io, "no answer in time");
        timeout_at(deadline.min(Instant::now() + limits.attempt), work()).await.map_err(late).flatten()
    };
    retry(deadline, again, attempt).await
}

/// A token, or why there is none.
///
/// # Errors
/// [`SignInError`], also when there is no token by the deadline.
pub(crate) async fn token(
    credential: &dyn TokenCredential,
    scopes: &[&str],
    deadline: Instant,
) -> Result<Secret, SignInError> {
    let late = |_| Error::with_message(ErrorKind::Io, "no answer in time");
    match timeout_at(deadline, credential.get_token(scopes, None)).await.map_err(late).flatten() {
        Ok(token) => Ok(token.token),
        Err(error) => Err(SignInError::behind(&error)
            .unwrap_or_else(|| SignInError::NoAnswer { from: Issuer::Entra, cause: root_of(&error) })),
    }
}

/// Retries what another attempt may cure: no answer, a time-out, throttling, a failure of the service. A failed sign-in has had
/// its attempts.
pub(crate) fn if_transient(error: &Error) -> Again {
    match error.http_status().map(u16::from) {
        None if SignInError::behind(error).is_some() => Again::No,
        None | Some(408 | 429 | 500..) => Again::Soon,
        Some(_) => Again::No,
    }
}

/// The HTTP status of the service's answer and its error code, empty if there is none. `None`: there was no answer.
pub(crate) fn answer(error: &Error) -> Option<(StatusCode, &str)> {
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, .. } => {
            Some((*status, error_code.as_deref().unwrap_or_default()))
        }
        _ => None,
    }
}

/// What a storage account or a folder refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The token: it is of another directory, or for another audience.
    Token,
    /// The network that the request came from.
    Network,
    /// The request: the identity has no role for it.
    Role,
    /// This process, in a folder.
    Process,
}

impl Refusal {
    /// What to do about it. `role` is the one that the identity needs.
    pub(crate) fn advice(self, role: &str) -> String {
        match self {
            Self::Token => {
                "use an identity of the storage account's directory, and check AZURE_CLOUD: the token is of another directory, or for another audience".into()
            }
            Self::Network => "allow this network in the storage account's firewall".into(),
            Self::Role => format!("give the identity the role `{role}`"),
            Self::Process => "let this process read and write there".into(),
        }
    }
}

/// What an answer of a storage account refuses, if it is a refusal. By its code
/// (<https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes>): a missing role is
/// `AuthorizationPermissionMismatch`, and firewalls answer `AuthorizationFailure`.
pub(crate) fn refusal(error: &Error) -> Option<Refusal> {
    match answer(error)? {
        (StatusCode::Forbidden, "AuthorizationFailure") => Some(Refusal::Network),
        (StatusCode::Unauthorized, _) | (StatusCode::Forbidden, "AuthenticationFailed") => {
            Some(Refusal::Token)
        }
        (StatusCode::Forbidden, _) => Some(Refusal::Role),
        _ => None,
    }
}

/// What to do when a storage account gave no answer, or has nothing of the kind. `setting` has its address.
pub(crate) fn unreached(error: &Error, setting: &str) -> Option<String> {
    if answer(error).is_some_and(|(status, _)| status != StatusCode::NotFound) {
        return None;
    }
    if is_untrusted(error) {
        return Some(UNTRUSTED.to_owned());
    }
    Some(format!(
        "check the account's name in {setting}, the network, and the proxy if there is one (HTTPS_PROXY)"
    ))
}

/// An error in a few words: status and code of the answer, since the service's own message is long and repeats the
/// request; without an answer, the last of its causes.
pub(crate) fn brief(error: &Error) -> String {
    match answer(error) {
        Some((status, code)) => format!("HTTP {} {code}", u16::from(status)).trim_end().to_owned(),
        None => root_of(error),
    }
}

/// The last of an error's causes, which says what happened; those before it say what was being done. The text of a transport
/// error may hold the whole address, so query strings, where signatures are, are cut out.
pub(crate) fn root_of(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    without_queries(&causes.last().map_or_else(|| error.to_string(), ToString::to_string))
}

fn without_queries(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut in_query = false;
    for c in text.chars() {
        match c {
            '?' => in_query = true,
            ')' | '"' | '\'' | ' ' | '\n' => in_query = false,
            _ => {}
        }
        if !in_query {
            shown.push(if c.is_control() { ' ' } else { c });
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn status(status: StatusCode, code: Option<&str>) -> Error {
        let error_code = code.map(str::to_owned);
        Error::new(ErrorKind::HttpResponse { status, error_code, raw_response: None }, "long text")
    }

    #[test]
    fn the_cause_is_shown_without_a_query() {
        let cause = std::io::Error::other(
            "error sending request for url (https://a/b?sv=1&sig=s3cret): UnknownIssuer",
        );
        let error = Error::with_error(ErrorKind::Connection, cause, "retry policy expired");
        let text = root_of(&error);
        assert!(text.contains("UnknownIssuer") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn an_answer_is_told_by_its_status_and_code_alone() {
        let forbidden = status(StatusCode::Forbidden, Some("AuthorizationFailure"));
        assert_eq!(brief(&forbidden), "HTTP 403 AuthorizationFailure");
        assert_eq!(brief(&status(StatusCode::NotFound, None)), "HTTP 404");
    }

    #[test]
    fn what_another_attempt_may_cure_is_retried() {
        for transient in [408, 429, 500, 503] {
            assert_eq!(if_transient(&status(transient.into(), None)), Again::Soon, "{transient}");
        }
        for lasting in [400, 401, 403, 404, 409, 412] {
            assert_eq!(if_transient(&status(lasting.into(), None)), Again::No, "{lasting}");
        }
        assert_eq!(if_transient(&Error::with_message(ErrorKind::Io, "no answer in time")), Again::Soon);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_answer_to_the_sdk_without_an_end_is_read_up_to_the_limit() {
        let (url, server) = crate::bounded::endless("HTTP/1.1 200 OK\r\n\r\n");
        let request = Request::new(url.parse().unwrap(), azure_core::http::Method::Get);
        let answer = Bounded(reqwest::Client::new()).execute_request(&request).await.unwrap();
        let error = answer.into_body().collect().await.unwrap_err();
        assert!(crate::report::chain(&error).contains("larger than the 64 MB"), "{error}");
        assert!(server.join().unwrap() < 200);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_is_made_again_until_the_call_has_had_its_time() {
        let limits = Limits { call: Duration::from_secs(12), attempt: Duration::from_secs(4) };
        let (begun, made) = (Instant::now(), AtomicU32::new(0));
        let work = || async {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<azure_core::Result<()>>().await
        };
        let error = attempts(limits, if_transient, work).await.unwrap_err();
        assert_eq!(brief(&error), "no answer in time");
        assert_eq!(made.load(Ordering::Relaxed), 3, "two of 4 s, and what is left");
        assert!(begun.elapsed() <= limits.call);
    }
}
