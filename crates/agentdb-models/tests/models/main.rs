//! The encoder from outside: its numbers, its behaviour, and what it makes of broken model directories.

mod broken;
mod golden;
mod minilm;
