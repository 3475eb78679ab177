//! Azure's side of the work: subscriptions from ARM, the identity that reads them, and Key Vault.

pub mod arm;
pub mod cloud;
mod code;
pub mod identity;
pub mod vault;
