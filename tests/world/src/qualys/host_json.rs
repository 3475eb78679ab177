//! A host asset as JSON, in the form that clients parse from live answers.

use std::collections::BTreeMap;

use crate::clock::seconds;
use crate::qualys::json::{Mask, Obj, row};
use crate::qualys::{Host, Source};

/// Appends the host as a row.
pub(super) fn full(
    out: &mut Vec<u8>,
    host: &Host,
    tags: &BTreeMap<i64, String>,
    as_strings: bool,
    mask: &Mask,
) {
    row(out, "HostAsset", mask, |object| {
        object.id("id", host.id, as_strings);
        object.put("name", &host.name);
        object.put("created", seconds(host.created));
        object.put("modified", seconds(host.modified));
        object.put("type", "HOST");
        object.list("tags", host.tags.iter().map(|id| ("TagSimple", id)), |tag, id| {
            tag.id("id", *id, as_strings);
            tag.maybe("name", tags.get(id));
        });
        object.list(
            "sourceInfo",
            host.sources.iter().map(|source| (name(*source), *source)),
            |inner, source| match source {
                Source::Azure => azure(inner, host, as_strings),
                Source::Ec2 => ec2(inner, host, as_strings),
                Source::Qualys => {
                    inner.id("assetId", host.id, as_strings);
                    inner.put("type", "QAGENT");
                }
                Source::Plain => {}
            },
        );
        object.id("qwebHostId", 40_000_000 + host.id, as_strings);
        object.put("os", &host.os);
        object.put("dnsHostName", &host.name);
        object.put("address", &host.private_ip);
        object.put("trackingMethod", &host.tracking_method);
        object.list("networkInterface", [("HostAssetInterface", ())], |inner, ()| {
            inner.put("type", "PRIVATE");
            inner.put("address", &host.private_ip);
        });
        object.flag("isDockerHost", false);
    });
}

fn name(source: Source) -> &'static str {
    match source {
        Source::Azure => "AzureAssetSourceSimple",
        Source::Ec2 => "Ec2AssetSourceSimple",
        Source::Qualys => "QualysAssetSource",
        Source::Plain => "AssetSource",
    }
}

fn azure(source: &mut Obj<'_>, host: &Host, as_strings: bool) {
    source.id("assetId", host.id, as_strings);
    source.put("type", "AZURE");
    source.put("firstDiscovered", seconds(host.first_discovered));
    source.put("lastUpdated", seconds(host.last_updated));
    if let Some(tags) = &host.azure_tags {
        source.object("azureVmTags", |outer| {
            outer.list("tags", tags.iter().map(|tag| ("AzureTags", tag)), |inner, (key, value)| {
                inner.put("key", key);
                inner.put("value", value);
            });
        });
    }
    source.put("name", host.machine_name.as_ref().unwrap_or(&host.name));
    source.put("location", &host.location);
    source.put("vmSize", &host.vm_size);
    source.put("vmId", &host.vm_id);
    source.put("offer", "0001-com-ubuntu-server-jammy");
    source.put("state", &host.state);
    source.put("publisher", "canonical");
    source.put("version", "latest");
    source.put("osType", &host.os);
    source.maybe("subscriptionId", host.subscription.as_ref());
    source.put("resourceGroupName", &host.resource_group);
    source.put("macAddress", &host.mac_address);
    source.maybe("publicIpAddress", host.public_ip.as_ref());
    source.put("privateIpAddress", &host.private_ip);
}

/// On the wire the type is `EC_2` (recorded 2020 on US3), whatever the schema says.
fn ec2(source: &mut Obj<'_>, host: &Host, as_strings: bool) {
    source.id("assetId", host.id, as_strings);
    source.put("type", "EC_2");
    source.put("firstDiscovered", seconds(host.first_discovered));
    source.put("lastUpdated", seconds(host.last_updated));
    source.put("instanceId", format!("i-{:017x}", host.id));
    source.put("instanceState", "RUNNING");
    source.put("accountId", "000000000000");
    source.put("region", "us-east-1");
    source.put("privateIpAddress", &host.private_ip);
}
