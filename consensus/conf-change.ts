/**
 * Configuration changes as values and as bytes of a log entry. The bytes are those of etcd-io/raft (protocol buffers), so
 * that sizes and tools agree; no bytes at all mean the second form's empty change, which leaves a joint configuration.
 */
import { unreachable } from '../base/invariant.ts'
import { ByteReader, ByteWriter, DecodeError, sizedBytesSize } from './bytes.ts'
import { varintSize } from './entry-size.ts'
import type {
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  Entry,
  EntryType
} from './types.ts'
import { NO_BYTES } from './types.ts'

const CHANGE_TYPES: readonly ConfChangeType[] = ['add-node', 'remove-node', 'update-node', 'add-learner-node']
const TRANSITIONS: readonly ConfChangeTransition[] = ['auto', 'joint-implicit', 'joint-explicit']

/** Protocol buffer keys: field number · 8 + wire type (0 number, 2 bytes). */
const V1_TYPE = 0x10
const V1_NODE = 0x18
const V1_CONTEXT = 0x22
const V2_TRANSITION = 0x08
const V2_CHANGE = 0x12
const V2_CONTEXT = 0x1a
const SINGLE_TYPE = 0x08
const SINGLE_NODE = 0x10

/** The change that leaves a joint configuration. */
export const LEAVE_JOINT: ConfChangeV2 = { version: 2, transition: 'auto', changes: [], context: NO_BYTES }

/** The same change in the second form. */
export function toV2(change: ConfChange): ConfChangeV2 {
  if (change.version === 2) return change
  const { type, nodeId, context } = change
  return { version: 2, transition: 'auto', changes: [{ type, nodeId }], context }
}

/** Whether the change leaves a joint configuration. */
export function leavesJoint(change: ConfChangeV2): boolean {
  return change.transition === 'auto' && change.changes.length === 0
}

/** Whether the change goes through a joint configuration, and whether that is then left without being asked. */
export function jointPlan(change: ConfChangeV2): { joint: boolean; autoLeave: boolean } {
  switch (change.transition) {
    case 'auto':
      return { joint: change.changes.length > 1, autoLeave: change.changes.length > 1 }
    case 'joint-implicit':
      return { joint: true, autoLeave: true }
    case 'joint-explicit':
      return { joint: true, autoLeave: false }
    default:
      return unreachable(change.transition)
  }
}

/** The type and bytes of the entry that carries the change. */
export function encodeConfChange(change: ConfChange): { type: EntryType; data: Uint8Array } {
  if (change.version === 1) return { type: 'conf-change', data: encodeV1(change) }
  return { type: 'conf-change-v2', data: encodeV2(change) }
}

/** The change that an entry carries. Throws `DecodeError` when it carries none. */
export function decodeConfChange(entry: Pick<Entry, 'type' | 'data'>): ConfChange {
  switch (entry.type) {
    case 'conf-change':
      return decodeV1(entry.data)
    case 'conf-change-v2':
      return decodeV2(entry.data)
    case 'normal':
      throw new DecodeError('a normal entry carries no configuration change')
    default:
      return unreachable(entry.type)
  }
}

function encodeV1(change: ConfChangeSingle & { readonly context: Uint8Array }): Uint8Array {
  const contextSize = change.context.length === 0 ? 0 : 1 + sizedBytesSize(change.context)
  const writer = new ByteWriter(3 + varintSize(change.nodeId) + contextSize)
  writer.byte(V1_TYPE)
  writer.byte(CHANGE_TYPES.indexOf(change.type))
  writer.byte(V1_NODE)
  writer.varint(change.nodeId)
  writeContext(writer, V1_CONTEXT, change.context)
  return writer.bytes
}

function encodeV2(change: ConfChangeV2): Uint8Array {
  let size = 2
  for (const single of change.changes) size += 2 + singleSize(single)
  if (change.context.length > 0) size += 1 + sizedBytesSize(change.context)
  const writer = new ByteWriter(size)
  writer.byte(V2_TRANSITION)
  writer.byte(TRANSITIONS.indexOf(change.transition))
  for (const single of change.changes) {
    writer.byte(V2_CHANGE)
    writer.byte(singleSize(single))
    writer.byte(SINGLE_TYPE)
    writer.byte(CHANGE_TYPES.indexOf(single.type))
    writer.byte(SINGLE_NODE)
    writer.varint(single.nodeId)
  }
  writeContext(writer, V2_CONTEXT, change.context)
  return writer.bytes
}

function singleSize(single: ConfChangeSingle): number {
  return 3 + varintSize(single.nodeId)
}

function writeContext(writer: ByteWriter, key: number, context: Uint8Array): void {
  if (context.length === 0) return
  writer.byte(key)
  writer.sized(context)
}

function decodeV1(data: Uint8Array): ConfChange {
  const reader = new ByteReader(data)
  expectKey(reader, V1_TYPE)
  const type = oneOf(CHANGE_TYPES, reader.byte())
  expectKey(reader, V1_NODE)
  const nodeId = reader.varint()
  const context = readContext(reader, V1_CONTEXT)
  return { version: 1, type, nodeId, context }
}

function decodeV2(data: Uint8Array): ConfChange {
  if (data.length === 0) return LEAVE_JOINT
  const reader = new ByteReader(data)
  expectKey(reader, V2_TRANSITION)
  const transition = oneOf(TRANSITIONS, reader.byte())
  const changes: ConfChangeSingle[] = []
  while (reader.remaining > 0) {
    const key = reader.byte()
    if (key === V2_CONTEXT) return { version: 2, transition, changes, context: lastBytes(reader) }
    if (key !== V2_CHANGE) throw new DecodeError(`unexpected key ${key} in a configuration change`)
    changes.push(decodeSingle(reader.sized()))
  }
  return { version: 2, transition, changes, context: NO_BYTES }
}

function decodeSingle(data: Uint8Array): ConfChangeSingle {
  const reader = new ByteReader(data)
  expectKey(reader, SINGLE_TYPE)
  const type = oneOf(CHANGE_TYPES, reader.byte())
  expectKey(reader, SINGLE_NODE)
  const nodeId = reader.varint()
  reader.end()
  return { type, nodeId }
}

function readContext(reader: ByteReader, key: number): Uint8Array {
  if (reader.remaining === 0) return NO_BYTES
  expectKey(reader, key)
  return lastBytes(reader)
}

function lastBytes(reader: ByteReader): Uint8Array {
  const bytes = reader.sized()
  reader.end()
  if (bytes.length === 0) throw new DecodeError('an empty context is not written')
  return bytes
}

function expectKey(reader: ByteReader, key: number): void {
  const got = reader.byte()
  if (got !== key) throw new DecodeError(`got key ${got} in a configuration change, expected ${key}`)
}

function oneOf<T>(values: readonly T[], at: number): T {
  const value = values[at]
  if (value === undefined) throw new DecodeError(`unknown kind ${at} in a configuration change`)
  return value
}
