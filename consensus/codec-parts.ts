/** The parts of encoded messages and records: sizes, writers and strict readers that agree with each other. */
import { invariant } from '../base/invariant.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { DecodeError, sizedBytesSize } from './bytes.ts'
import { decodeConfChange } from './conf-change.ts'
import { varintSize } from './entry-size.ts'
import type { ConfState, Entry, EntryType, HardState, SnapshotMetadata } from './types.ts'

const ENTRY_TYPES: readonly EntryType[] = ['normal', 'conf-change', 'conf-change-v2']

function entryBytes(entry: Entry): number {
  return 1 + varintSize(entry.term) + varintSize(entry.index) + sizedBytesSize(entry.data)
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.byte(ENTRY_TYPES.indexOf(entry.type))
  writer.varint(entry.term)
  writer.varint(entry.index)
  writer.sized(entry.data)
}

/** Also checks that a configuration change is one, so that nobody else has to expect otherwise. */
function readEntry(reader: ByteReader): Entry {
  const type = ENTRY_TYPES[reader.byte()]
  if (type === undefined) throw new DecodeError('unknown type of entry')
  const entry: Entry = { term: reader.varint(), index: reader.varint(), type, data: reader.sized() }
  if (type !== 'normal') decodeConfChange(entry)
  return entry
}

export function entriesBytes(entries: readonly Entry[]): number {
  let size = varintSize(entries.length)
  for (const entry of entries) size += entryBytes(entry)
  return size
}

export function writeEntries(writer: ByteWriter, entries: readonly Entry[]): void {
  writer.varint(entries.length)
  for (const entry of entries) writeEntry(writer, entry)
}

export function readEntries(reader: ByteReader): readonly Entry[] {
  const count = reader.varint()
  const entries: Entry[] = []
  for (let i = 0; i < count; i++) entries.push(readEntry(reader))
  return entries
}

export function hardStateBytes(state: HardState): number {
  return varintSize(state.term) + varintSize(state.vote) + varintSize(state.commit)
}

export function writeHardState(writer: ByteWriter, state: HardState): void {
  writer.varint(state.term)
  writer.varint(state.vote)
  writer.varint(state.commit)
}

export function readHardState(reader: ByteReader): HardState {
  return { term: reader.varint(), vote: reader.varint(), commit: reader.varint() }
}

export function confStateBytes(state: ConfState): number {
  return (
    1 +
    idsBytes(state.voters) +
    idsBytes(state.learners) +
    idsBytes(state.votersOutgoing) +
    idsBytes(state.learnersNext)
  )
}

export function writeConfState(writer: ByteWriter, state: ConfState): void {
  writer.byte(state.autoLeave ? 1 : 0)
  writeIds(writer, state.voters)
  writeIds(writer, state.learners)
  writeIds(writer, state.votersOutgoing)
  writeIds(writer, state.learnersNext)
}

export function readConfState(reader: ByteReader): ConfState {
  const autoLeave = reader.byte()
  if (autoLeave > 1) throw new DecodeError(`got ${autoLeave}, expected a boolean`)
  const voters = readIds(reader)
  const learners = readIds(reader)
  const votersOutgoing = readIds(reader)
  const learnersNext = readIds(reader)
  return { voters, learners, votersOutgoing, learnersNext, autoLeave: autoLeave === 1 }
}

export function snapshotMetadataBytes(metadata: SnapshotMetadata): number {
  return varintSize(metadata.index) + varintSize(metadata.term) + confStateBytes(metadata.confState)
}

export function writeSnapshotMetadata(writer: ByteWriter, metadata: SnapshotMetadata): void {
  writer.varint(metadata.index)
  writer.varint(metadata.term)
  writeConfState(writer, metadata.confState)
}

export function readSnapshotMetadata(reader: ByteReader): SnapshotMetadata {
  return { index: reader.varint(), term: reader.varint(), confState: readConfState(reader) }
}

function idsBytes(ids: readonly number[]): number {
  let size = varintSize(ids.length)
  for (const id of ids) size += varintSize(id)
  return size
}

function writeIds(writer: ByteWriter, ids: readonly number[]): void {
  writer.varint(ids.length)
  let previous = 0
  for (const id of ids) {
    invariant(id > previous, () => `ids of a membership must rise: ${ids.join(', ')}`)
    previous = id
    writer.varint(id)
  }
}

function readIds(reader: ByteReader): readonly number[] {
  const count = reader.varint()
  const ids: number[] = []
  let previous = 0
  for (let i = 0; i < count; i++) {
    const id = reader.varint()
    if (id <= previous) throw new DecodeError('ids of a membership do not rise')
    previous = id
    ids.push(id)
  }
  return ids
}
