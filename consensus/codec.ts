/**
 * Messages, entries and records as bytes, for the network and the log. Each decodes alone, without any state.
 *
 * K1. Whatever decodes could have been encoded: numbers in shortest form, no unknown flags, nothing left over.
 * K2. Bad input throws `DecodeError`, and nothing of it is returned. What decodes has the shape its type needs (an append's
 *     entries follow each other, a snapshot message has a snapshot …), so that no input can break the core's invariants.
 * K3. Byte strings in the result are views on the input, which must not be changed afterwards.
 */
import { ByteReader, ByteWriter, DecodeError, sizedBytesSize } from './bytes.ts'
import {
  confStateBytes,
  entriesBytes,
  hardStateBytes,
  readConfState,
  readEntries,
  readHardState,
  readSnapshotMetadata,
  snapshotMetadataBytes,
  writeConfState,
  writeEntries,
  writeHardState,
  writeSnapshotMetadata
} from './codec-parts.ts'
import { varintSize } from './entry-size.ts'
import { checkMessageShape } from './message-shape.ts'
import type { ConfState, Entry, HardState, Message, Snapshot, SnapshotMetadata } from './types.ts'
import { MESSAGE_TYPES, NONE, NO_ENTRIES, NO_MESSAGES } from './types.ts'

/** Which fields follow, in this order. A field that is zero or empty is left out. */
const HAS_LOG_TERM = 1
const HAS_INDEX = 2
const HAS_ENTRIES = 4
const HAS_COMMIT = 8
const IS_REJECT = 16
const HAS_REJECT_HINT = 32
const HAS_CONTEXT = 64
const HAS_VOTE = 128
const HAS_SNAPSHOT = 256
const HAS_RESPONSES = 512
const ALL_FLAGS = 1023

/** Storage orders carry responses; responses carry none. */
const MAX_DEPTH = 1

/** A message as bytes. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new ByteWriter(messageBytes(message))
  writeMessage(writer, message)
  return writer.bytes
}

/** The message in `bytes`, all of them. Throws `DecodeError`. */
export function decodeMessage(bytes: Uint8Array): Message {
  return whole(bytes, (reader) => readMessage(reader, 0))
}

/** A run of entries as bytes. */
export function encodeEntries(entries: readonly Entry[]): Uint8Array {
  const writer = new ByteWriter(entriesBytes(entries))
  writeEntries(writer, entries)
  return writer.bytes
}

/** The entries in `bytes`. Throws `DecodeError`. */
export function decodeEntries(bytes: Uint8Array): readonly Entry[] {
  return whole(bytes, readEntries)
}

/** A hard state as bytes. */
export function encodeHardState(state: HardState): Uint8Array {
  const writer = new ByteWriter(hardStateBytes(state))
  writeHardState(writer, state)
  return writer.bytes
}

/** The hard state in `bytes`. Throws `DecodeError`. */
export function decodeHardState(bytes: Uint8Array): HardState {
  return whole(bytes, readHardState)
}

/** A membership as bytes. */
export function encodeConfState(state: ConfState): Uint8Array {
  const writer = new ByteWriter(confStateBytes(state))
  writeConfState(writer, state)
  return writer.bytes
}

/** The membership in `bytes`. Throws `DecodeError`. */
export function decodeConfState(bytes: Uint8Array): ConfState {
  return whole(bytes, readConfState)
}

/** Where a snapshot stands, as bytes. */
export function encodeSnapshotMetadata(metadata: SnapshotMetadata): Uint8Array {
  const writer = new ByteWriter(snapshotMetadataBytes(metadata))
  writeSnapshotMetadata(writer, metadata)
  return writer.bytes
}

/** The snapshot's place in `bytes`. Throws `DecodeError`. */
export function decodeSnapshotMetadata(bytes: Uint8Array): SnapshotMetadata {
  return whole(bytes, readSnapshotMetadata)
}

function whole<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(bytes)
  const value = read(reader)
  reader.end()
  return value
}

function flagsOf(message: Message): number {
  let flags = 0
  if (message.logTerm !== 0) flags |= HAS_LOG_TERM
  if (message.index !== 0) flags |= HAS_INDEX
  if (message.entries.length > 0) flags |= HAS_ENTRIES
  if (message.commit !== 0) flags |= HAS_COMMIT
  if (message.reject) flags |= IS_REJECT
  if (message.rejectHint !== 0) flags |= HAS_REJECT_HINT
  if (message.context !== undefined) flags |= HAS_CONTEXT
  if (message.vote !== NONE) flags |= HAS_VOTE
  if (message.snapshot !== undefined) flags |= HAS_SNAPSHOT
  if (message.responses.length > 0) flags |= HAS_RESPONSES
  return flags
}

function messageBytes(message: Message): number {
  const flags = flagsOf(message)
  let size = 1 + varintSize(flags) + varintSize(message.to) + varintSize(message.from)
  size += varintSize(message.term)
  if (flags & HAS_LOG_TERM) size += varintSize(message.logTerm)
  if (flags & HAS_INDEX) size += varintSize(message.index)
  if (flags & HAS_ENTRIES) size += entriesBytes(message.entries)
  if (flags & HAS_COMMIT) size += varintSize(message.commit)
  if (flags & HAS_REJECT_HINT) size += varintSize(message.rejectHint)
  if (message.context !== undefined) size += sizedBytesSize(message.context)
  if (flags & HAS_VOTE) size += varintSize(message.vote)
  if (message.snapshot !== undefined) {
    size += snapshotMetadataBytes(message.snapshot) + sizedBytesSize(message.snapshot.data)
  }
  if (flags & HAS_RESPONSES) {
    size += varintSize(message.responses.length)
    for (const response of message.responses) size += messageBytes(response)
  }
  return size
}

function writeMessage(writer: ByteWriter, message: Message): void {
  const flags = flagsOf(message)
  writer.byte(MESSAGE_TYPES.indexOf(message.type))
  writer.varint(flags)
  writer.varint(message.to)
  writer.varint(message.from)
  writer.varint(message.term)
  if (flags & HAS_LOG_TERM) writer.varint(message.logTerm)
  if (flags & HAS_INDEX) writer.varint(message.index)
  if (flags & HAS_ENTRIES) writeEntries(writer, message.entries)
  if (flags & HAS_COMMIT) writer.varint(message.commit)
  if (flags & HAS_REJECT_HINT) writer.varint(message.rejectHint)
  if (message.context !== undefined) writer.sized(message.context)
  if (flags & HAS_VOTE) writer.varint(message.vote)
  if (message.snapshot !== undefined) {
    writeSnapshotMetadata(writer, message.snapshot)
    writer.sized(message.snapshot.data)
  }
  if (flags & HAS_RESPONSES) {
    writer.varint(message.responses.length)
    for (const response of message.responses) writeMessage(writer, response)
  }
}

function readMessage(reader: ByteReader, depth: number): Message {
  const type = MESSAGE_TYPES[reader.byte()]
  if (type === undefined) throw new DecodeError('unknown type of message')
  const flags = reader.varint()
  if (flags > ALL_FLAGS) throw new DecodeError(`unknown flags ${flags}`)
  // In the order in which the fields stand in the input.
  const to = reader.varint()
  const from = reader.varint()
  const term = reader.varint()
  const logTerm = flags & HAS_LOG_TERM ? present(reader.varint()) : 0
  const index = flags & HAS_INDEX ? present(reader.varint()) : 0
  const entries = flags & HAS_ENTRIES ? some(readEntries(reader)) : NO_ENTRIES
  const commit = flags & HAS_COMMIT ? present(reader.varint()) : 0
  const reject = (flags & IS_REJECT) !== 0
  const rejectHint = flags & HAS_REJECT_HINT ? present(reader.varint()) : 0
  const context = flags & HAS_CONTEXT ? reader.sized() : undefined
  const vote = flags & HAS_VOTE ? present(reader.varint()) : NONE
  const snapshot = flags & HAS_SNAPSHOT ? readSnapshot(reader) : undefined
  const responses = flags & HAS_RESPONSES ? some(readResponses(reader, depth)) : NO_MESSAGES
  const message: Message = {
    type,
    to,
    from,
    term,
    logTerm,
    index,
    entries,
    commit,
    vote,
    snapshot,
    reject,
    rejectHint,
    context,
    responses
  }
  checkMessageShape(message)
  return message
}

function readSnapshot(reader: ByteReader): Snapshot {
  const { index, term, confState } = readSnapshotMetadata(reader)
  return { index, term, confState, data: reader.sized() }
}

function readResponses(reader: ByteReader, depth: number): readonly Message[] {
  if (depth >= MAX_DEPTH) throw new DecodeError('responses within responses')
  const count = reader.varint()
  const responses: Message[] = []
  for (let i = 0; i < count; i++) responses.push(readMessage(reader, depth + 1))
  return responses
}

function present(value: number): number {
  if (value === 0) throw new DecodeError('a zero is not written')
  return value
}

function some<T>(values: readonly T[]): readonly T[] {
  if (values.length === 0) throw new DecodeError('an empty list is not written')
  return values
}
