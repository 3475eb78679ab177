//! The HTTP functions. The Functions host forwards requests unchanged, so the same routes serve without a host.

use super::body::FullBody;
use super::leave::LeaveError;
use super::now;
use super::parameters::SyncParameters;
use super::problem::ProblemDocument;
use crate::app::App;
use crate::inbox::RequestStatus;
use crate::lease::Lease;
use crate::model::{CycleId, RequestId};
use crate::plan::Plan;
use crate::report::{Report, Status, chain};
use crate::retry::chance;
use crate::store::{BlobKey, StoreError};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use tracing::error;

/// The largest body of `POST /api/sync`: 1,000 subscriptions take 40 kB.
const MOST_BYTES: usize = 256 * 1024;

/// A request that waits for a day may be taken by hundreds of cycles. Only the last report says how it stands; a few more show
/// what led there, and the others stay in the storage.
const REPORTS_SHOWN: usize = 5;
/// `POST /api/sync`.
pub(super) async fn sync(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    body: FullBody<MOST_BYTES>,
) -> Result<Response, ProblemDocument> {
    let tenant = app.tenant.id();
    let asked = SyncParameters::read(&query.unwrap_or_default(), &body.bytes)?.asked(tenant)?;
    let now = now();
    let id = RequestId::new(now, chance());
    app.leave_request(tenant, &id, &asked, "manual-sync", now).await.map_err(|error| unavailable(&error))?;
    let location = format!("/api/requests/{id}");
    let body = Json(json!({ "id": id, "tenant": tenant, "asked": asked, "status": location }));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response())
}

/// The state of a request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Progress {
    /// No cycle has taken it, or the last one that did was killed.
    Queued,
    /// A cycle is working on it.
    Running,
    /// A cycle has done what it could; what was asked for has not ended.
    Waiting,
    Done,
}

/// `GET /api/requests/{id}`.
pub(super) async fn request_status(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, ProblemDocument> {
    let missing = || {
        ProblemDocument::new(
            StatusCode::NOT_FOUND,
            "no such request; POST /api/sync answers with the address of each new one",
        )
    };
    let Path(id) = id.map_err(|_| missing())?;
    let id: RequestId = id.parse().map_err(|_| missing())?;
    let tenant = app.tenant.id();
    let request_status = app
        .tenant
        .store
        .read::<RequestStatus>(&BlobKey::Request(tenant, id.clone()))
        .await
        .map_err(|error| unavailable(&error))?;
    let (request_status, _) = request_status.ok_or_else(missing)?;
    let shown = request_status.cycles.len().saturating_sub(REPORTS_SHOWN);
    let (older, newest) = request_status.cycles.split_at(shown);
    let read = newest.iter().map(|cycle| report_of(&app, cycle));
    let read = stream::iter(read.collect::<Vec<_>>()).buffered(REPORTS_SHOWN).try_collect::<Vec<_>>();
    let reports: Vec<_> = newest.iter().zip(read.await.map_err(|error| unavailable(&error))?).collect();
    let mut died = None;
    let progress = if request_status.settled.is_some() {
        Progress::Done
    } else {
        match reports.last() {
            None => Progress::Queued,
            Some((_, Some(_))) => Progress::Waiting,
            Some((cycle, None)) if holds(&app, cycle).await.map_err(|error| unavailable(&error))? => {
                Progress::Running
            }
            Some((cycle, None)) => {
                died = Some((*cycle).clone());
                Progress::Queued
            }
        }
    };
    let cycles: Vec<_> =
        reports.iter().map(|(cycle, report)| json!({ "cycle": cycle, "report": report })).collect();
    Ok(Json(json!({
        "id": id, "tenant": tenant, "state": progress, "left": request_status.left, "asked": request_status.asked,
        "settled": request_status.settled, "died": died, "earlier_cycles": older, "cycles": cycles
    }))
    .into_response())
}

async fn report_of(app: &App, cycle: &CycleId) -> Result<Option<Report>, StoreError> {
    let report = app.tenant.store.read::<Report>(&BlobKey::Report(app.tenant.id(), cycle.clone())).await?;
    Ok(report.map(|(report, _)| report))
}

async fn holds(app: &App, cycle: &CycleId) -> Result<bool, StoreError> {
    Ok(Lease::holder(&app.tenant.store, &app.tenant.account.name)
        .await?
        .is_some_and(|holder| holder.cycle == *cycle))
}

/// `GET /api/status`.
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Response, ProblemDocument> {
    let policy = &app.tenant.policy;
    let status = app
        .tenant
        .store
        .read::<Status>(&BlobKey::Status(policy.tenant))
        .await
        .map_err(|error| unavailable(&error))?;
    let wake_up = app.tenant.wake_ups.booking(policy.tenant).await.map_err(|error| unavailable(&error))?;
    let tenant = match status {
        Some((status, _)) => json!(Status { next_wake_up: wake_up.due, ..status }),
        None => {
            json!({ "tenant": policy.tenant, "mode": policy.mode, "next_wake_up": wake_up.due, "message": "no cycle has ended yet" })
        }
    };
    Ok(Json(json!({ "tenants": [tenant] })).into_response())
}

/// `GET /api/plan`: JSON, or text with `Accept: text/plain` or `?format=text`.
pub(super) async fn plan(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ProblemDocument> {
    let plan = app
        .tenant
        .store
        .read::<Plan>(&BlobKey::Plan(app.tenant.id()))
        .await
        .map_err(|error| unavailable(&error))?;
    let wants_text = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .any(|(n, v)| n == "format" && v == "text")
        || headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/plain"));
    Ok(match plan {
        Some((plan, _)) if wants_text => format!("{plan}\nmade {}\n", plan.made).into_response(),
        None if wants_text => "no plan has been made yet\n".into_response(),
        plan => Json(json!({ "tenants": plan.into_iter().map(|(plan, _)| plan).collect::<Vec<_>>() }))
            .into_response(),
    })
}

fn unavailable(cause: &(dyn std::error::Error + 'static)) -> ProblemDocument {
    let text = chain(cause);
    error!(error = text, "Could not answer: {text}");
    let detail = match cause.downcast_ref::<StoreError>() {
        // These name the blob and what to do, and do not repeat its content.
        Some(known @ (StoreError::Unreadable { .. } | StoreError::Newer { .. })) => known.to_string(),
        _ if matches!(cause.downcast_ref(), Some(LeaveError::TimedOut)) => {
            format!("{cause}. Then send the request again: doing it twice does no harm")
        }
        _ => "the storage could not be used; the log says why".to_owned(),
    };
    ProblemDocument::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}
