//! The switches: everything about Qualys that no source settles, with the evidence for each default.
//!
//! Guarantees: each switch may be turned at any time and counts from the next request.

use std::time::Duration;

use jiff::SignedDuration;

/// What the server does with a second connector for a subscription, or with a name that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It makes another.
    #[default]
    Allow,
    /// `INVALID_REQUEST`.
    Refuse,
}

/// What a run of a connector does that is running already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRunning {
    /// Success; the run in progress goes on and no other starts.
    #[default]
    Accept,
    /// `INVALID_REQUEST`.
    Refuse,
}

/// What a run of a disabled connector does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisabled {
    /// `INVALID_REQUEST`.
    #[default]
    Refuse,
    /// It runs.
    Accept,
}

/// How `activation` is shown; three shapes are documented or parsed by clients.
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

/// The name of the time of the last sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastSyncName {
    /// `lastSync` (schema and documentation).
    #[default]
    LastSync,
    /// `lastSyncedOn` (read by a script that Qualys published in 2026).
    LastSyncedOn,
}

/// The name of the last error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ErrorName {
    /// `lastError` (schema and documentation).
    #[default]
    LastError,
    /// `errorDetail` (read by a script that Qualys published in 2026).
    ErrorDetail,
    /// `error` (the same script's other spelling).
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

/// When a refusal by rate tells how long to wait (`X-RateLimit-ToWait-Sec`, `SECONDS_TO_WAIT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToWait {
    /// Each time (documented).
    #[default]
    Always,
    /// From the second refusal in a row (seen by a client).
    SecondRefusal,
    /// Never.
    Never,
}

/// A rate limit for each endpoint over a sliding window.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Calls in a window.
    pub limit: usize,
    /// The window.
    pub window: SignedDuration,
    /// Whether answers carry the limit headers. None of the QPS recordings of 2020 to 2022 had any.
    pub headers: bool,
    /// When a refusal tells the wait.
    pub to_wait_on: ToWait,
}

impl Rate {
    /// `limit` calls in `window`, without headers, the wait told each time.
    pub fn new(limit: usize, window: SignedDuration) -> Self {
        Self { limit, window, headers: false, to_wait_on: ToWait::Always }
    }
}

/// The switches.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each switch is a question of its own, answered yes or no")]
pub struct Manners {
    /// How long after a create the server starts the first sync alone; `None`: it waits in `QUEUED` until run. A Qualys
    /// script of 2026 shows `QUEUED` as "waits for first sync"; who starts it is not said. Default 50 ms.
    pub auto_start: Option<SignedDuration>,
    /// How long after a run the old state still shows. A precaution, never observed. Default 50 ms.
    pub run_lag: SignedDuration,
    /// How long a sync takes: a third in `QUEUED`, the rest in `PROCESSING`. Minutes in reality; default 150 ms.
    pub sync_duration: SignedDuration,
    /// Whether the time of the last sync moves when a sync fails. Not observed; default yes.
    pub last_sync_moves_on_failure: bool,
    /// Whether Qualys syncs enabled connectors on its own every `runFrequency` (documented: every 4 h by default).
    /// Default off, so that tests choose when.
    pub own_schedule: bool,
    /// A second connector for the same subscription. Not observed; default allowed.
    pub duplicate_subscription: OnDuplicate,
    /// A second connector of the same name. Not observed ("unique" is said of tenant connectors only); default
    /// allowed.
    pub duplicate_name: OnDuplicate,
    /// Whether `startFromId` includes that record. Not observed; a Qualys script does not de-duplicate, hence default no.
    pub start_from_id_inclusive: bool,
    /// Ids and `lastId` as strings. Documented JSON shows numbers; default no.
    pub ids_as_strings: bool,
    /// `count` as a string. Not observed; default no.
    pub count_as_string: bool,
    /// `hasMoreRecords` as a boolean. Clients on live accounts compare with the string; default no.
    pub has_more_as_bool: bool,
    /// Shape of `activation`. Not observed; default a plain list.
    pub activation_shape: ActivationShape,
    /// Whether the last page has a `lastId`. No recording does, one hand-edited fixture does; default no.
    pub last_page_has_last_id: bool,
    /// Run while running. Not observed; default accepted.
    pub run_while_running: OnRunning,
    /// Run of a disabled connector. Qualys's Jenkins plugin aborts before it asks; default refused.
    pub run_disabled: OnDisabled,
    /// Whether the answer to a run carries `connectorState` besides the id (it does in the generic 2.0 run). Default yes.
    pub run_answers_with_state: bool,
    /// How long a new connector is missing from search (not from get). Not observed; default none.
    pub search_lag: SignedDuration,
    /// Whether search lists deleted connectors, with `isDeleted` true. Not observed; default no.
    pub search_lists_deleted: bool,
    /// Whether every connector is shown with its id and subscription only: the schema lets all else be missing. Default
    /// no; [`crate::Connector::sparse`] does it for one.
    pub sparse: bool,
    /// Name of the time of the last sync.
    pub last_sync_name: LastSyncName,
    /// Name of the last error.
    pub error_name: ErrorName,
    /// Name of the wrapper of an error row. Not observed in JSON; default the schema's class name.
    pub error_row_name: &'static str,
    /// Text of the error of the next failing syncs instead of the world's own. The real texts are unknown.
    pub sync_error_text: Option<String>,
    /// Whether a disabled connector's state reads `DISABLED`. The state exists; when it shows is unknown. Default no.
    pub disabled_shows_as_state: bool,
    /// Whether a create or update is refused for a `runFrequency` that is not among those that a Qualys script lists. Default no.
    pub odd_run_frequency_refused: bool,
    /// Whether an empty `set` clears a collection. Unverified; default yes.
    pub empty_set_clears: bool,
    /// Whether creates, and updates that carry a key, are refused with an `INVALID_REQUEST` that repeats the key: a
    /// rude server, to prove that a client scrubs. Never observed; default no.
    pub echo_secret_in_error: bool,
    /// Whether wrong credentials get HTTP 401 instead of 200 with `INVALID_CREDENTIALS` (recorded 2022 on US3; scripts
    /// by Qualys handle both). Default no.
    pub wrong_password_is_401: bool,
    /// The rate limit; default none.
    pub rate: Option<Rate>,
    /// Calls that may run at the same time (recorded 2020 on US3: 2).
    pub concurrency: usize,
    /// Whether more are refused with 409 and code 1960, which never tells a wait. Default no; the greatest number is
    /// always seen by [`crate::World::max_concurrency_seen`].
    pub concurrency_enforced: bool,
    /// Format of a 409.
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
            last_page_has_last_id: false,
            run_while_running: OnRunning::Accept,
            run_disabled: OnDisabled::Refuse,
            run_answers_with_state: true,
            search_lag: SignedDuration::ZERO,
            search_lists_deleted: false,
            sparse: false,
            last_sync_name: LastSyncName::LastSync,
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
