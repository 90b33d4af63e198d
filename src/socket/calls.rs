//! Requests that ask for an operation of a feature. They wait for the database, so that each is
//! spawned; its answer comes when it is carried out, in no order among others.

use std::sync::{Arc, atomic::Ordering};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};
use tokio::time::Instant;

use super::{
    Shared,
    client::Client,
    packet::{Attachments, Placeholder},
};
use crate::{
    error::{Error, Result},
    id::Timestamp,
    operations::Operation,
    payload::Payload,
    supervise::Task,
};

/// The longest payload, in bytes of JSON and attachments.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// The most operations of one client that are carried out at once.
const CALLS_MAX: usize = 32;

/// The ack of an operation: the fields of its answer.
#[derive(Serialize)]
struct Answer {
    ok: bool,
    #[serde(flatten)]
    fields: Value,
}

/// A call that is carried out. A panic answers it, since its client expects an ack.
struct Call {
    client: Arc<Client>,
    operation: Operation,
    ack: Option<u64>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.client.calls.fetch_sub(1, Ordering::Relaxed);
        if std::thread::panicking() {
            self.refuse(&Error::Internal);
        }
    }
}

impl Call {
    fn refuse(&self, error: &Error) {
        self.client.refuse(self.operation.name(), self.ack, error);
    }
}

/// Has `operation` carried out for `client`, whose budget has admitted the request.
///
/// # Errors
/// The refusal of a request that is not begun: beyond a limit, or not a JSON object.
pub(super) fn begin(
    shared: &Arc<Shared>,
    client: &Arc<Client>,
    operation: Operation,
    ack: Option<u64>,
    argument: Option<&RawValue>,
    attachments: &Attachments,
) -> Result<()> {
    let budget = &client.session.budget;
    shared.sessions.check_open()?;
    let began = Instant::now();
    let payload = read(argument, attachments)?;
    budget.charge(began.elapsed(), 0);
    if client.calls.fetch_add(1, Ordering::Relaxed) >= CALLS_MAX {
        client.calls.fetch_sub(1, Ordering::Relaxed);
        return Err(Error::Overloaded);
    }
    let call = Call {
        client: Arc::clone(client),
        operation,
        ack,
    };
    let operations = shared.operations.clone();
    shared.supervisor.spawn(Task::Operation, async move {
        let claims = call.client.session.claims();
        let called = operations.call(operation, &claims, &payload, Timestamp::now());
        match called.await {
            Ok(fields) => call.client.accept(ack, &Answer { ok: true, fields }),
            Err(error) => call.refuse(&error),
        }
    });
    Ok(())
}

/// The fields of a request. An attachment becomes the base64 of its bytes, as in JSON.
fn read(argument: Option<&RawValue>, attachments: &Attachments) -> Result<Payload> {
    let json = argument.map_or("{}", RawValue::get);
    let bytes: usize = attachments.iter().map(bytes::Bytes::len).sum();
    if json.len() + bytes > PAYLOAD_BYTES_MAX {
        return Err(Error::TooLarge {
            limit: PAYLOAD_BYTES_MAX,
        });
    }
    let invalid = || Error::Invalid {
        field: "payload",
        reason: "must be one object",
    };
    let mut fields: Map<String, Value> = serde_json::from_str(json).map_err(|_| invalid())?;
    if !attachments.is_empty() {
        for value in fields.values_mut() {
            inline(value, attachments).ok_or_else(invalid)?;
        }
    }
    Ok(Payload::new(fields))
}

/// Replaces the places of attachments in `value` by the base64 of their bytes; `None` where an
/// attachment is missing.
fn inline(value: &mut Value, attachments: &Attachments) -> Option<()> {
    match value {
        Value::Object(fields) if fields.contains_key("_placeholder") => {
            let Placeholder(index) = serde_json::from_value(value.clone()).ok()?;
            *value = STANDARD.encode(attachments.get(index)?).into();
            Some(())
        }
        Value::Object(fields) => fields
            .values_mut()
            .try_for_each(|value| inline(value, attachments).ok_or(()))
            .ok(),
        Value::Array(values) => values
            .iter_mut()
            .try_for_each(|value| inline(value, attachments).ok_or(()))
            .ok(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
    }
}
