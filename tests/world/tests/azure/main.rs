//! Azure's own Rust clients against the world: what they accept here, they accept of the real services' answers too.

mod blobs;
mod faults;
mod queues;
mod sign_in;
mod stage;
mod vault;
