//! The switches: everything about Qualys that no source answers for sure, with the evidence for each default.
//!
//! Guarantees: a switch may be changed at any time and takes effect with the next request.

use std::time::Duration;

use jiff::SignedDuration;

use super::times::{DateHeader, LastSyncForm};

/// The answer to a second connector for a subscription, or to a name that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It creates another.
    #[default]
    Allow,
    /// `INVALID_REQUEST`.
    Refuse,
}

/// The answer to a run of a connector that is already running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRunning {
    /// Success; the run in progress goes on and no other starts.
    #[default]
    Accept,
    /// `INVALID_REQUEST`.
    Refuse,
}

/// The answer to a run of a disabled connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisabled {
    /// `INVALID_REQUEST`.
    #[default]
    Refuse,
    /// It runs.
    Accept,
}

/// How answers show `activation`. Three forms are documented or parsed by clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivationShape {
    /// `{"list":["VM"]}`.
    #[default]
    List,
    /// `{"list":{"ActivationModule":["VM"]}}`.
    Wrapped,
    /// `["VM"]`.
    Bare,
}

/// What `lastId` of a page names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastId {
    /// The last row of the page.
    #[default]
    LastRow,
    /// The first row of the next page.
    NextRow,
    /// A row before the last: an answer that contradicts itself.
    Earlier,
}

impl LastId {
    pub(super) fn of(self, last: Option<i64>, next: Option<i64>) -> Option<i64> {
        match self {
            Self::LastRow => last,
            Self::NextRow => next.or(last),
            Self::Earlier => last.map(|id| id - 1),
        }
    }
}

/// The name of the field with the time of the last sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastSyncName {
    /// `lastSync` (schema and documentation).
    #[default]
    LastSync,
    /// `lastSyncedOn` (read by a script that Qualys published in 2026).
    LastSyncedOn,
}

/// The name of the field with the last error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorName {
    /// `lastError` (schema and documentation).
    #[default]
    LastError,
    /// `errorDetail` (read by a script that Qualys published in 2026).
    ErrorDetail,
    /// `error` (another spelling in the same script).
    Error,
}

/// The format of a 409; none was ever seen on QPS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitBody {
    /// The classic API's XML, as in the limits guide.
    #[default]
    Xml,
    /// The same fields as JSON.
    Json,
}

/// When a refusal by the rate limit says how long to wait (`X-RateLimit-ToWait-Sec`, `SECONDS_TO_WAIT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToWait {
    /// Each time (documented).
    #[default]
    Always,
    /// From the second refusal in a row (seen by a client).
    SecondRefusal,
    Never,
}

/// A rate limit for each endpoint over a sliding window.
#[derive(Clone, Debug)]
pub struct Rate {
    /// How many calls a window allows.
    pub limit: usize,
    pub window: SignedDuration,
    /// Whether answers carry the limit headers. None of the QPS recordings of 2020 to 2022 had any.
    pub headers: bool,
    /// When a refusal says how long to wait.
    pub to_wait_on: ToWait,
}

impl Rate {
    /// `limit` calls in `window`, without headers. Every refusal says how long to wait.
    pub fn new(limit: usize, window: SignedDuration) -> Self {
        Self { limit, window, headers: false, to_wait_on: ToWait::Always }
    }
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switch is a question of its own, answered yes or no")]
pub struct Manners {
    /// How long after a create the server starts the first sync by itself. With `None` the connector waits in `QUEUED`
    /// until it is run. A Qualys script of 2026 shows `QUEUED` as "waits for first sync" and does not say who starts it.
    /// Default 50 ms.
    pub auto_start: Option<SignedDuration>,
    /// How long after a run answers still show the old state. A precaution, never observed. Default 50 ms.
    pub run_lag: SignedDuration,
    /// How long a sync takes: a third in `QUEUED`, the rest in `PROCESSING`. Minutes in reality; default 150 ms.
    pub sync_duration: SignedDuration,
    /// Whether the time of the last sync moves when a sync fails. Not observed; default yes.
    pub last_sync_moves_on_failure: bool,
    /// Whether Qualys syncs enabled connectors on its own every `runFrequency` (documented: every 4 h by default).
    /// Default off, so that tests decide when a sync happens.
    pub own_schedule: bool,
    /// Whether there can be a second connector for the same subscription. Not observed; default allowed.
    pub duplicate_subscription: OnDuplicate,
    /// Whether there can be a second connector of the same name. Not observed (only names of tenant connectors are said
    /// to be "unique"); default allowed.
    pub duplicate_name: OnDuplicate,
    /// Whether `startFromId` includes that record. Not observed. A Qualys script does not remove duplicates, so the
    /// default is no.
    pub start_from_id_inclusive: bool,
    /// Whether ids and `lastId` are strings. The documented JSON has numbers; default no.
    pub ids_as_strings: bool,
    /// Whether `count` is a string. Not observed; default no.
    pub count_as_string: bool,
    /// Whether `hasMoreRecords` is a boolean. Clients on live accounts compare it with a string; default no.
    pub has_more_as_bool: bool,
    /// The form of `activation`. Not observed; default a plain list.
    pub activation_shape: ActivationShape,
    /// What `lastId` names. Every recording has the last row of the page; the documentation does not say.
    pub last_id: LastId,
    /// Whether the last page has a `lastId`. It has none in any recording, and has one in a hand-edited fixture; default no.
    pub last_page_has_last_id: bool,
    /// A run while a sync is running. Not observed; default accepted.
    pub run_while_running: OnRunning,
    /// A run of a disabled connector. Qualys's Jenkins plugin stops before it asks; default refused.
    pub run_disabled: OnDisabled,
    /// Whether the answer to a run has `connectorState` besides the id (as in the generic 2.0 run). Default yes.
    pub run_answers_with_state: bool,
    /// How long a new connector is missing from searches, though not from a get. Not observed; default none.
    pub search_lag: SignedDuration,
    /// Whether searches list deleted connectors, with `isDeleted` true. Not observed; default no.
    pub search_lists_deleted: bool,
    /// Whether answers show only the id and the subscription of every connector, since the schema allows everything else
    /// to be missing. Default no. [`crate::Connector::sparse`] does this for one connector.
    pub sparse: bool,
    /// The name of the field with the time of the last sync.
    pub last_sync_name: LastSyncName,
    /// How the time of the last sync is stated. [`crate::World::last_sync_form`] sets it.
    pub last_sync_form: LastSyncForm,
    /// How far Qualys's clock is ahead; behind if negative. Default none. [`crate::World::qualys_clock_off_by`] sets it.
    pub clock_off_by: SignedDuration,
    /// The `Date` header of answers. [`crate::World::date_header`] sets it.
    pub date_header: DateHeader,
    /// The name of the field with the last error.
    pub error_name: ErrorName,
    /// The name of the object around an error row. Not observed in JSON; default the class name in the schema.
    pub error_row_name: &'static str,
    /// The error text of the next failing syncs, instead of the world's own. The real texts are unknown.
    pub sync_error_text: Option<String>,
    /// Whether a disabled connector has the state `DISABLED`. The state exists, but it is unknown when it is shown.
    /// Default no.
    pub disabled_shows_as_state: bool,
    /// Whether a create or update is refused for a `runFrequency` that a Qualys script does not list. Default no.
    pub odd_run_frequency_refused: bool,
    /// Whether an empty `set` clears a collection. Unverified; default yes.
    pub empty_set_clears: bool,
    /// Whether creates, and updates with a key, are refused with an `INVALID_REQUEST` that repeats the key, to prove that
    /// a client keeps it out of its errors. Never observed; default no.
    pub echo_secret_in_error: bool,
    /// Whether wrong credentials are answered with HTTP 401 instead of 200 with `INVALID_CREDENTIALS` (recorded in 2022
    /// on US3; Qualys's scripts handle both). Default no.
    pub wrong_password_is_401: bool,
    /// The rate limit; default none.
    pub rate: Option<Rate>,
    /// Calls that may run at the same time (recorded 2020 on US3: 2).
    pub concurrency: usize,
    /// Whether more calls are refused with 409 and code 1960, which never says how long to wait. Default no.
    /// [`crate::World::max_concurrency_seen`] has the greatest number in any case.
    pub concurrency_enforced: bool,
    /// The format of a 409.
    pub limit_body: LimitBody,
    /// Real time that every Qualys call takes at least; default none.
    pub latency: Option<Duration>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            auto_start: Some(SignedDuration::from_millis(50)),
            run_lag: SignedDuration::from_millis(50),
            sync_duration: SignedDuration::from_millis(150),
            last_sync_moves_on_failure: true,
            own_schedule: false,
            duplicate_subscription: OnDuplicate::Allow,
            duplicate_name: OnDuplicate::Allow,
            start_from_id_inclusive: false,
            ids_as_strings: false,
            count_as_string: false,
            has_more_as_bool: false,
            activation_shape: ActivationShape::List,
            last_id: LastId::LastRow,
            last_page_has_last_id: false,
            run_while_running: OnRunning::Accept,
            run_disabled: OnDisabled::Refuse,
            run_answers_with_state: true,
            search_lag: SignedDuration::ZERO,
            search_lists_deleted: false,
            sparse: false,
            last_sync_name: LastSyncName::LastSync,
            last_sync_form: LastSyncForm::Zoned,
            clock_off_by: SignedDuration::ZERO,
            date_header: DateHeader::Own,
            error_name: ErrorName::LastError,
            error_row_name: "AssetDataConnectorErrors",
            sync_error_text: None,
            disabled_shows_as_state: false,
            odd_run_frequency_refused: false,
            empty_set_clears: true,
            echo_secret_in_error: false,
            wrong_password_is_401: false,
            rate: None,
            concurrency: 2,
            concurrency_enforced: false,
            limit_body: LimitBody::Xml,
            latency: None,
        }
    }
}
