//! What happens when a sync ends, and Qualys's own schedule.
//!
//! Guarantees: a sync succeeds only with a live secret of the application in the subscription's directory, and with
//! Reader on a subscription that works. A machine that is gone from Azure stays as a host with the state `DELETED`.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::clock::later;
use crate::entra::SecretCheck;
use crate::qualys::Connector;
use crate::qualys::connector::Run;
use crate::qualys::host::of_machine;
use crate::state::State;

impl State {
    /// Ends the syncs that are due, and starts those that are due by Qualys's own schedule.
    pub(crate) fn progress(&mut self) {
        let now = self.now();
        if self.qualys.manners.own_schedule {
            self.start_scheduled(now, self.qualys_now());
        }
        let due = |state: &Self, id: &i64| {
            let run = state.qualys.connectors.get(id).and_then(|one| one.run);
            run.filter(|run| run.ends <= now).map(|run| (run.ends, *id))
        };
        let mut ended = self.qualys.pending.iter().filter_map(|id| due(self, id)).collect::<Vec<_>>();
        ended.sort_unstable();
        for (at, id) in ended {
            self.qualys.pending.remove(&id);
            self.finish(id, at);
        }
    }

    fn start_scheduled(&mut self, now: Timestamp, by_its_clock: Timestamp) {
        let qualys = &mut self.qualys;
        for one in qualys.connectors.values_mut() {
            if !one.deleted && one.run.is_none() && one.next_sync().is_some_and(|next| next <= by_its_clock) {
                one.run = Some(Run::asked(now, SignedDuration::ZERO, qualys.manners.sync_duration));
                qualys.pending.insert(one.id);
            }
        }
    }

    /// Why the connector cannot read its subscription. The real texts are unknown; these begin with Azure's own codes.
    fn obstacle(&self, one: &Connector, at: Timestamp) -> Option<String> {
        let key = &one.authentication_key;
        let text = match self.entra.check(&one.directory_id, &one.application_id, key, at) {
            SecretCheck::NoApp => "AADSTS700016: The application was not found in the directory.",
            SecretCheck::Wrong => "AADSTS7000215: Invalid client secret provided.",
            SecretCheck::Expired => "AADSTS7000222: The provided client secret keys are expired.",
            SecretCheck::Good | SecretCheck::Blocked => match self.azure.live(&one.subscription_id) {
                None => "SubscriptionNotFound: The subscription could not be found.",
                Some(found) if !found.tenant.eq_ignore_ascii_case(&one.directory_id) => {
                    "InvalidAuthenticationTokenTenant: The subscription is in another directory."
                }
                Some(found) if !found.state.works() => {
                    "ReadOnlyDisabledSubscription: The subscription is disabled."
                }
                Some(found) if !found.app_has_reader => {
                    "AuthorizationFailed: The client does not have authorization to read the subscription."
                }
                Some(_) => return None,
            },
        };
        Some(self.qualys.manners.sync_error_text.clone().unwrap_or_else(|| text.to_owned()))
    }

    fn finish(&mut self, id: i64, at: Timestamp) {
        let Some(one) = self.qualys.connectors.get(&id) else { return };
        let obstacle = self.obstacle(one, at);
        let (subscription, tags) = (one.subscription_id.to_ascii_lowercase(), one.default_tags.clone());
        let at = later(at, self.qualys.manners.clock_off_by);
        if obstacle.is_none() {
            self.collect(&subscription, &tags, at);
        }
        let moves = obstacle.is_none() || self.qualys.manners.last_sync_moves_on_failure;
        let Some(one) = self.qualys.connectors.get_mut(&id) else { return };
        one.run = None;
        one.syncs += 1;
        if moves {
            // Answers show whole seconds, and two quick syncs must not look like one. A clock that was set back is another thing.
            let quick =
                one.last_sync.filter(|last| at.duration_since(*last).abs() < SignedDuration::from_mins(1));
            let next = quick.map_or(at, |last| later(last, SignedDuration::from_secs(1)).max(at));
            one.last_sync = Some(next);
        }
        "FINISHED_SUCCESS".clone_into(&mut one.state);
        if let Some(text) = &obstacle {
            "FINISHED_ERRORS".clone_into(&mut one.state);
            one.errors.push((at, text.clone()));
        }
        one.last_error = obstacle;
    }

    /// Makes hosts of the subscription's machines, and tombstones of hosts whose machine is gone.
    fn collect(&mut self, subscription: &str, tags: &[i64], at: Timestamp) {
        let Some(found) = self.azure.live(subscription) else { return };
        let qualys = &mut self.qualys;
        let known = qualys.synced.entry(subscription.to_owned()).or_default();
        for machine in found.live_machines().filter(|machine| !machine.unseen_by_qualys) {
            let old = known.get(&machine.vm_id).copied();
            let id = old.unwrap_or_else(|| self.ids.host());
            let mut host = of_machine(id, subscription, machine, at);
            tags.clone_into(&mut host.tags);
            if let Some(old) = old.and_then(|id| qualys.hosts.get(&id)) {
                host.created = old.created;
                host.first_discovered = old.first_discovered;
            }
            known.insert(machine.vm_id.clone(), id);
            qualys.hosts.insert(id, Arc::new(host));
        }
        let live = found
            .live_machines()
            .map(|machine| machine.vm_id.as_str())
            .collect::<std::collections::HashSet<_>>();
        for (vm_id, id) in known.iter() {
            if let Some(host) = qualys.hosts.get_mut(id)
                && !live.contains(vm_id.as_str())
                && host.state != "DELETED"
            {
                let host = Arc::make_mut(host);
                "DELETED".clone_into(&mut host.state);
                host.modified = at;
                host.last_updated = at;
            }
        }
    }
}
