//! Backups in a simulated world.
