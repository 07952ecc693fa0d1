//! Envoy's messages as they are read and written here: the fields that matter, and bytes that are shared, not copied.
//!
//! `envoy-types` copies a body into a new vector and every header into two strings, most of which are never read.
//! Here they are slices of the received message. Field numbers are those of Envoy's `external_processor.proto` and
//! `base.proto`; a test holds every message against the generated types.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpTrailers, ProtocolConfiguration, TrailersResponse};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::body::Pieces;

/// A message from Envoy.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProcessingRequest {
    #[prost(oneof = "Request", tags = "2, 3, 4, 5, 6, 7")]
    pub(super) request: Option<Request>,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<Attributes>,
    #[prost(message, optional, tag = "11")]
    pub(super) protocol_config: Option<ProtocolConfiguration>,
}

/// A copy of a response, which Envoy sends without waiting for anything.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ResponseCopy {
    #[prost(oneof = "Copied", tags = "3, 5, 7")]
    pub(super) part: Option<Copied>,
    #[prost(message, optional, tag = "8")]
    pub(super) metadata: Option<Metadata>,
    #[prost(message, repeated, tag = "9")]
    pub(super) attributes: Vec<Attributes>,
}

/// The parts of a response.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Copied {
    #[prost(message, tag = "3")]
    Headers(HttpHeaders),
    #[prost(message, tag = "5")]
    Body(HttpBody),
    #[prost(message, tag = "7")]
    Trailers(HttpTrailers),
}

/// Dynamic metadata: by namespace, as attributes are by filter.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(message, repeated, tag = "1")]
    pub(super) namespaces: Vec<Attributes>,
}

/// The kinds of messages from Envoy.
#[derive(Clone, PartialEq, prost::Oneof)]
#[allow(clippy::enum_variant_names)] // as Envoy has them
pub(super) enum Request {
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    #[prost(message, tag = "5")]
    ResponseBody(HttpBody),
    #[prost(message, tag = "6")]
    RequestTrailers(HttpTrailers),
    #[prost(message, tag = "7")]
    ResponseTrailers(HttpTrailers),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    pub(super) headers: Option<HeaderMap>,
    #[prost(bool, tag = "3")]
    pub(super) end_of_stream: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    pub(super) headers: Vec<HeaderValue>,
}

/// The attributes of a request for one filter: an entry of a map, which is a list on the wire and needs no hashing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attributes {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) filter: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) all: Option<Struct>,
}

/// `google.protobuf.Struct`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Struct {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Field {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) name: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(oneof = "Kind", tags = "2, 3")]
    pub(super) kind: Option<Kind>,
}

/// The kinds that attributes have.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(double, tag = "2")]
    Number(f64),
    #[prost(bytes = "bytes", tag = "3")]
    Text(Bytes),
}

/// A header. Envoy sends the value in `raw_value` alone.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) raw_value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HttpBody {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) body: Bytes,
    #[prost(bool, tag = "2")]
    pub(super) end_of_stream: bool,
}

/// A message to Envoy.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ProcessingResponse {
    #[prost(oneof = "Response", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) response: Option<Response>,
    /// By [`metadata`].
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(super) dynamic_metadata: Option<Bytes>,
    #[prost(message, optional, tag = "10")]
    pub(super) override_message_timeout: Option<protobuf::Duration>,
}

/// The kinds of messages to Envoy. Headers and bodies share a type: their fields have the same numbers.
#[derive(Clone, PartialEq, prost::Oneof)]
#[allow(clippy::enum_variant_names)] // as Envoy has them
pub(super) enum Response {
    #[prost(message, tag = "1")]
    RequestHeaders(PartResponse),
    #[prost(message, tag = "2")]
    ResponseHeaders(PartResponse),
    #[prost(message, tag = "3")]
    RequestBody(PartResponse),
    #[prost(message, tag = "4")]
    ResponseBody(PartResponse),
    #[prost(message, tag = "5")]
    RequestTrailers(TrailersResponse),
    #[prost(message, tag = "6")]
    ResponseTrailers(TrailersResponse),
    #[prost(message, tag = "7")]
    Immediate(ImmediateResponse),
}

/// `HeadersResponse` and `BodyResponse`; a body is written by [`push_with_body`].
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PartResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) response: Option<CommonResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CommonResponse {
    /// By [`header_mutation`].
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) header_mutation: Option<Bytes>,
    #[prost(bool, tag = "5")]
    pub(super) clear_route_cache: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ImmediateResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<HttpStatus>,
    /// By [`header_mutation`].
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) headers: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) body: Bytes,
    #[prost(string, tag = "5")]
    pub(super) details: String,
}

/// `HeaderMutation`, written at once: prost would ask every header for its length once for each message around it.
pub(super) fn header_mutation<'h>(
    set: impl IntoIterator<Item = (&'h [u8], &'h [u8])>,
    remove: impl IntoIterator<Item = &'h [u8]>,
) -> Bytes {
    // `HeaderValueOption.append_action`: field 3, a varint.
    const OVERWRITES: &[u8] = &[3 << 3, HeaderAppendAction::OverwriteIfExistsOrAdd as u8];
    let mut out = Vec::with_capacity(256);
    for (name, value) in set {
        // Envoy wants the value in `raw_value`.
        let header = field_len(name.len()) + field_len(value.len());
        put_head(1, field_len(header) + OVERWRITES.len(), &mut out);
        put_head(1, header, &mut out);
        put(1, name, &mut out);
        put(3, value, &mut out);
        out.put_slice(OVERWRITES);
    }
    remove.into_iter().for_each(|name| put(2, name, &mut out));
    out.into()
}

/// Returns a `google.protobuf.Struct` of one field, `namespace`, which is a `Struct` of texts.
pub(super) fn metadata<'n, 'f>(namespace: &str, fields: impl IntoIterator<Item = (&'n str, &'f str)>) -> Bytes {
    const TEXT: u32 = 3;
    const STRUCT: u32 = 5;
    let mut inner = Vec::with_capacity(512);
    for (name, text) in fields {
        let value = field_len(text.len());
        put_head(1, field_len(name.len()) + field_len(value), &mut inner);
        put(1, name.as_bytes(), &mut inner);
        put_head(2, value, &mut inner);
        put(TEXT, text.as_bytes(), &mut inner);
    }
    let value = field_len(inner.len());
    let mut out = Vec::with_capacity(inner.len() + namespace.len() + 16);
    put_head(1, field_len(namespace.len()) + field_len(value), &mut out);
    put(1, namespace.as_bytes(), &mut out);
    put_head(2, value, &mut out);
    put(STRUCT, &inner, &mut out);
    out.into()
}

/// Returns the length of a field with this many bytes, its key included. The key is one byte: all field numbers are
/// below 16.
fn field_len(bytes: usize) -> usize {
    1 + encoded_len_varint(bytes as u64) + bytes
}

/// Writes the key and the length of a field.
fn put_head(number: u32, bytes: usize, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes as u64, out);
}

fn put(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_head(number, bytes.len(), out);
    out.put_slice(bytes);
}

/// Messages up to this length are copied together; of longer ones the body's pieces are sent as they are.
const MAX_COPIED: usize = 16 << 10;

/// `HttpBody.end_of_stream`: field 2, a varint, which says true.
const END_OF_STREAM: &[u8] = &[2 << 3, 1];

/// The prefix of each gRPC message: a flag and the length.
const FRAME_HEAD_BYTES: usize = 5;

/// Appends a message as gRPC frames it.
pub(super) fn push(message: &ProcessingResponse, out: &mut VecDeque<Bytes>) {
    let length = message.encoded_len();
    let mut frame = frame(length, length);
    // Into a buffer that grows.
    let _ = message.encode(&mut frame);
    out.push_back(frame.freeze());
}

/// The same for an answer to a request's body, with the body instead of the client's, or as a part of it.
pub(super) fn push_with_body(
    message: &ProcessingResponse,
    common: &CommonResponse,
    body: &NewBody,
    out: &mut VecDeque<Bytes>,
) {
    let (message, common) = (message.encode_to_vec(), common.encode_to_vec());
    // From outside in: the fields of a message beside the nested one, and the nested field's number.
    let (request_body, response, body_mutation) = ((&*message, 3), (&[][..], 1), (&*common, 3));
    let whole = (&[][..], 1);
    let streamed_response = (&[][..], 3);
    let part = |ends: bool| (if ends { END_OF_STREAM } else { &[] }, 1);
    match body {
        NewBody::Whole(body) => push_nested(&[request_body, response, body_mutation, whole], body, out),
        NewBody::Part { body, end_of_stream } => {
            let levels = [request_body, response, body_mutation, streamed_response, part(*end_of_stream)];
            push_nested(&levels, body, out);
        }
    }
}

/// A body that Envoy is to send.
#[derive(Debug)]
pub(super) enum NewBody {
    /// Buffered.
    Whole(Pieces),
    /// Full duplex.
    Part { body: Pieces, end_of_stream: bool },
}

/// Appends nested messages around a body. All field numbers are below 16, so a key is one byte.
fn push_nested(levels: &[(&[u8], u8)], body: &Pieces, out: &mut VecDeque<Bytes>) {
    const LENGTH_DELIMITED: u8 = 2;
    let mut lengths = Vec::with_capacity(levels.len());
    let mut length = body.len();
    for (beside, _) in levels.iter().rev() {
        lengths.push(length);
        length += beside.len() + 1 + encoded_len_varint(length as u64);
    }
    let copied = if length <= MAX_COPIED { body.len() } else { 0 };
    let mut head = frame(length, length - body.len() + copied);
    for ((beside, number), inner) in levels.iter().zip(lengths.iter().rev()) {
        head.put_slice(beside);
        head.put_u8(number << 3 | LENGTH_DELIMITED);
        encode_varint(*inner as u64, &mut head);
    }
    if copied > 0 {
        body.iter().for_each(|piece| head.put_slice(piece));
        out.push_back(head.freeze());
    } else {
        out.push_back(head.freeze());
        out.extend(body.iter().filter(|piece| !piece.is_empty()).cloned());
    }
}

/// Returns the head of a gRPC frame, with room behind it.
fn frame(length: usize, room: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + room);
    frame.put_u8(0); // not compressed
    // A body has some MiB, and gRPC knows no message of 4 GiB.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame
}

#[cfg(test)]
mod tests;
