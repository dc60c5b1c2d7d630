/** The public surface of consensus. */
export * from './types.ts'
export type { RaftConfig, RaftLogger, ReadOnlyOption } from './config.ts'
export { SILENT_LOGGER } from './config.ts'
export type { LogGap, Storage } from './storage.ts'
export type { LogPosition, MemoryStorageInit, StorageResult } from './memory-storage.ts'
export { MemoryStorage } from './memory-storage.ts'
export type { BasicStatus, ProgressState, ProgressStatus, RaftStatus } from './status.ts'
export { RawNode } from './raw-node.ts'
export { decodeConfChange, encodeConfChange } from './conf-change.ts'
export { DecodeError } from './bytes.ts'
export { entriesSize, entrySize } from './entry-size.ts'
export {
  decodeConfState,
  decodeEntries,
  decodeHardState,
  decodeMessage,
  decodeSnapshotMetadata,
  encodeConfState,
  encodeEntries,
  encodeHardState,
  encodeMessage,
  encodeSnapshotMetadata
} from './codec.ts'
export { refusePeerMessage } from './message-shape.ts'
export { describeEntry, describeMessage, describeProgress, describeReady } from './describe.ts'
