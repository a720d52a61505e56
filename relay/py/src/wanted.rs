//! Sessions as Python has them: any object with the attributes of `RelaySpec` and `RelayMember`.

use std::net::IpAddr;

use pyo3::prelude::*;
use relay_core::{SessionToken, UserToken, WantedSession, WantedUser};

use crate::errors::Invalid;

#[derive(FromPyObject)]
pub(crate) struct Spec {
    token: u32,
    members: Vec<Member>,
    owner: Option<u32>,
}

#[derive(FromPyObject)]
struct Member {
    token: u32,
    address: String,
}

/// The sessions that they describe.
pub(crate) fn sessions(specs: Vec<Spec>) -> PyResult<Vec<WantedSession>> {
    specs.into_iter().map(session).collect()
}

fn session(spec: Spec) -> PyResult<WantedSession> {
    let users = spec.members.into_iter().map(|member| {
        Ok(WantedUser {
            token: user_token(member.token)?,
            ip: ip(&member.address),
        })
    });
    Ok(WantedSession {
        token: session_token(spec.token)?,
        host: spec.owner.map(user_token).transpose()?,
        users: users.collect::<PyResult<_>>()?,
    })
}

pub(crate) fn session_token(number: u32) -> PyResult<SessionToken> {
    SessionToken::new(number).ok_or_else(|| Invalid::new_err("0 is no session token"))
}

fn user_token(number: u32) -> PyResult<UserToken> {
    UserToken::new(number).ok_or_else(|| Invalid::new_err("0 is no user token"))
}

/// `None` for what is no address: nobody can be held to it. An interface that is named after it means nothing elsewhere.
fn ip(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}
