//! Errors of storage: XML, with the code in a header too.

use jiff::Timestamp;

use crate::calls::CallKind;
use crate::faults::Kind;
use crate::net::reply::Reply;

/// The code that belongs to a status and an operation (Microsoft's lists of common, blob and queue error codes).
pub(crate) fn code(status: u16, call: CallKind) -> &'static str {
    let of_queue = matches!(
        call,
        CallKind::QueueSend | CallKind::QueueReceive | CallKind::QueueUpdate | CallKind::QueueDelete
    );
    match (status, call) {
        (400, _) => "InvalidInput",
        (401, _) => "InvalidAuthenticationInfo",
        (403, _) => "AuthorizationPermissionMismatch",
        (404, _) if of_queue => "QueueNotFound",
        (404, _) => "ContainerNotFound",
        (409, CallKind::BlobLease) => "LeaseAlreadyPresent",
        (409, CallKind::BlobPut | CallKind::BlockListPut) => "BlobAlreadyExists",
        (409, _) if of_queue => "QueueBeingDeleted",
        (409, _) => "ContainerBeingDeleted",
        (412, _) => "ConditionNotMet",
        (429 | 503, _) => "ServerBusy",
        _ => "InternalError",
    }
}

fn message(code: &str) -> &'static str {
    match code {
        "InvalidInput" => "One of the request inputs is not valid.",
        "InvalidAuthenticationInfo" => {
            "The authentication information was not provided in the correct format. Verify the value of Authorization header."
        }
        "AuthorizationPermissionMismatch" => {
            "This request is not authorized to perform this operation using this permission."
        }
        "BlobNotFound" => "The specified blob does not exist.",
        "ContainerNotFound" => "The specified container does not exist.",
        "QueueNotFound" => "The specified queue does not exist.",
        "BlobAlreadyExists" => "The specified blob already exists.",
        "ContainerBeingDeleted" => "The specified container is being deleted.",
        "QueueBeingDeleted" => "The specified queue is being deleted.",
        "LeaseAlreadyPresent" => "There is already a lease present.",
        "LeaseLost" => "A lease ID was specified, but the lease for the blob has expired.",
        "ConditionNotMet" => "The condition specified using HTTP conditional header(s) is not met.",
        "ServerBusy" => "The server is currently unable to receive requests. Please retry your request.",
        "OperationTimedOut" => "The operation could not be completed within the permitted time.",
        "InternalError" => "The server encountered an internal error. Please retry the request.",
        _ => "A fault of the world.",
    }
}

/// An error answer. For a `HEAD` only its headers are sent.
pub(crate) fn error(status: u16, code: &str, now: Timestamp) -> Reply {
    let id = "00000000-0000-4000-8000-0000000000fa";
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{}\nRequestId:{id}\nTime:{now}</Message></Error>",
        message(code)
    );
    Reply::new(status, "application/xml", body.into_bytes())
        .header("x-ms-error-code", code)
        .header("x-ms-request-id", id)
        .code(code)
}

/// Changes the rows of a list of blobs, as a fault asks; everything else stays as it is.
pub(crate) fn spoil_list(kind: &Kind, reply: &mut Reply) {
    const END: &str = "</Blob>";
    let Ok(text) = std::str::from_utf8(&reply.body) else { return };
    let starts = text.match_indices("<Blob>").map(|(at, _)| at).collect::<Vec<_>>();
    let row = |index: usize| {
        let start = *starts.get(index)?;
        Some(start..start + text[start..].find(END)? + END.len())
    };
    let spoilt = match kind {
        Kind::DropRow => {
            row(starts.len() / 2).map(|row| format!("{}{}", &text[..row.start], &text[row.end..]))
        }
        Kind::DuplicateRow => row(0).map(|row| format!("{}{}", &text[..row.end], &text[row.start..])),
        _ => None,
    };
    if let Some(spoilt) = spoilt {
        reply.body = spoilt.into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_loses_its_middle_row_or_has_its_first_one_twice() {
        let list = "<Blobs><Blob><Name>a</Name></Blob><Blob><Name>b</Name></Blob></Blobs>";
        let spoilt = |kind: Kind, text: &str| {
            let mut reply = Reply::new(200, "", text.as_bytes().to_vec());
            spoil_list(&kind, &mut reply);
            String::from_utf8(reply.body).unwrap()
        };
        assert_eq!(spoilt(Kind::DropRow, list), "<Blobs><Blob><Name>a</Name></Blob></Blobs>");
        assert_eq!(
            spoilt(Kind::DuplicateRow, list),
            "<Blobs><Blob><Name>a</Name></Blob><Blob><Name>a</Name></Blob><Blob><Name>b</Name></Blob></Blobs>"
        );
        assert_eq!(spoilt(Kind::DropRow, "{\"value\":[1]}"), "{\"value\":[1]}");
    }
}
