//! A connector, and the states of its sync.

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;

/// An application of a connector (`connectorAppInfos`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// `AI`, `CI` or `CSA`.
    pub name: String,
    pub identifier: String,
    /// The tag, if one was given.
    pub tag_id: Option<i64>,
}

/// Where answers show something that the account holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// In searches and in gets.
    #[default]
    Everywhere,
    /// Searches lack it, with nothing to show for it, as if the user's scope had been cut.
    ByIdAlone,
    /// A get lacks it, too.
    Nowhere,
}

/// A connector as the account holds it. Every field may be set by [`crate::World::edit_connector`].
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the object has these flags")]
pub struct Connector {
    pub id: i64,
    pub name: String,
    /// The product's connectors have the mark here.
    pub description: String,
    /// `authRecord.subscriptionId`.
    pub subscription_id: String,
    /// `authRecord.applicationId`.
    pub application_id: String,
    /// `authRecord.directoryId`.
    pub directory_id: String,
    /// `authRecord.authenticationKey`; no answer shows it.
    pub authentication_key: String,
    pub disabled: bool,
    /// Whether it belongs to a tenant connector (`isAttachedToOrgConnector`).
    pub member: bool,
    pub deleted: bool,
    /// `isGovCloudConfigured`.
    pub gov_cloud: bool,
    /// `isRemediationEnabled`.
    pub remediation: bool,
    /// Minutes between Qualys's own syncs.
    pub run_frequency: i64,
    /// The state when no sync is visible.
    pub state: String,
    /// The end of the last sync.
    pub last_sync: Option<Timestamp>,
    /// The error of the last sync.
    pub last_error: Option<String>,
    /// Ids of the default tags.
    pub default_tags: Vec<i64>,
    pub modules: Vec<String>,
    pub apps: Vec<App>,
    /// `cloudviewUuid`.
    pub cloudview_uuid: String,
    /// Whether answers show only its id and subscription.
    pub sparse: bool,
    /// Which answers have it; a get that lacks it is answered `OBJECT_NOT_FOUND`.
    pub shown: Shown,
    /// Which answers have its `authRecord.subscriptionId`.
    pub shows_subscription: Shown,
    pub created: Timestamp,
    /// Errors of all syncs, with their times.
    pub errors: Vec<(Timestamp, String)>,
    /// How many syncs have ended.
    pub syncs: u32,
    /// How many runs clients asked for.
    pub runs: u32,
    pub(super) run: Option<Run>,
}

/// A sync that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Until then answers show the old state.
    pub(super) visible: Timestamp,
    /// From then on it is `PROCESSING`.
    pub(super) processing: Timestamp,
    pub(super) ends: Timestamp,
}

impl Run {
    /// A run that is visible after `lag` and takes `duration`, a third of it in `QUEUED`.
    pub(super) fn asked(now: Timestamp, lag: SignedDuration, duration: SignedDuration) -> Self {
        let visible = later(now, lag);
        Self { visible, processing: later(visible, duration / 3), ends: later(visible, duration) }
    }

    /// A first sync that the server starts by itself after `wait` in `QUEUED`.
    pub(super) fn alone(now: Timestamp, wait: SignedDuration, duration: SignedDuration) -> Self {
        let processing = later(now, wait);
        Self { visible: now, processing, ends: later(processing, duration) }
    }
}

impl Connector {
    /// The state that answers show now.
    pub(super) fn state_at(&self, now: Timestamp) -> &str {
        match self.run {
            Some(run) if now >= run.processing => "PROCESSING",
            Some(run) if now >= run.visible => "QUEUED",
            _ => &self.state,
        }
    }

    /// Qualys's own next sync, by its schedule.
    pub(super) fn next_sync(&self) -> Option<Timestamp> {
        let last = self.last_sync.filter(|_| !self.disabled)?;
        Some(later(last, SignedDuration::from_mins(self.run_frequency)))
    }
}
