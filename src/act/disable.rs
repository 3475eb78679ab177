//! Disables a connector, if what allowed it still holds.
//!
//! Guarantees: just before the write both connectors are read by their ids. Unless each states the subscription, whether it is
//! disabled and that it is no member, and carries our mark, and the one that stays is enabled, healthy and fresh, nothing is sent.

use super::Execution;
use crate::model::{Connector, ConnectorId, SubscriptionId};
use crate::outcome::{ActionResult, Unproved};
use crate::qualys::QualysError;
use crate::state::DisableProof;

impl Execution<'_> {
    /// Reads both connectors once more. Returns the result when nothing is to be sent.
    pub(super) async fn stop_before_disable(
        &self,
        id: ConnectorId,
        subscription: SubscriptionId,
        proof: &DisableProof,
    ) -> Result<Option<ActionResult>, QualysError> {
        let stays = match proof {
            DisableProof::Twin { stays } => *stays,
            DisableProof::Unstated => return Ok(Some(Unproved::NoProof.into())),
        };
        let qualys = self.session.qualys();
        let goes = qualys.connector(id).await?;
        if goes.is_disabled() {
            return Ok(Some(ActionResult::AlreadyThere { id }));
        }
        // The one that stays comes last, so that as little time as possible is left between this and the write.
        let unproved = match self.check_ours(&goes, subscription) {
            Ok(()) => self.check_stays(&qualys.connector(stays).await?, subscription),
            unproved => unproved,
        };
        Ok(unproved.err().map(ActionResult::from))
    }

    fn check_ours(&self, connector: &Connector, subscription: SubscriptionId) -> Result<(), Unproved> {
        let checked = connector.id;
        match connector.subscription {
            // It may cover any subscription.
            None => Err(Unproved::SubscriptionNotStated { checked }),
            Some(states) if states != subscription => Err(Unproved::OtherSubscription { checked, states }),
            Some(_) if !self.policy.is_ours(connector) => Err(Unproved::NotOurs { checked }),
            // What is not stated is unknown.
            Some(_) if connector.member.is_none() => Err(Unproved::MemberNotStated { checked }),
            Some(_) if connector.disabled.is_none() => Err(Unproved::DisabledNotStated { checked }),
            Some(_) => Ok(()),
        }
    }

    fn check_stays(&self, connector: &Connector, subscription: SubscriptionId) -> Result<(), Unproved> {
        self.check_ours(connector, subscription)?;
        let qualys = self.session.qualys();
        let health = self.policy.proves_cover_as_read(connector, qualys.clock(), qualys.calls().now());
        health.map_err(|health| Unproved::Unhealthy { checked: connector.id, health })
    }

    pub(super) async fn disable(&self, id: ConnectorId) -> ActionResult {
        let error = match self.session.qualys().set_disabled(id, true).await {
            Ok(()) => return ActionResult::Done { id, found_after: None },
            Err(error) => error,
        };
        if !error.is_unclear() {
            return self.failed(&error, false);
        }
        match self.session.qualys().connector(id).await {
            Ok(connector) if connector.is_disabled() => {
                ActionResult::Done { id, found_after: Some(error.code()) }
            }
            // Qualys answered with a code that is no success, and did not do it.
            Ok(connector) if connector.is_enabled() && matches!(error, QualysError::Refused { .. }) => {
                self.failed(&error, false)
            }
            Ok(_) | Err(_) => self.failed(&error, true),
        }
    }
}
