/** The public surface of consensus. */
export * from './types.ts'
export type { RaftConfig, RaftLogger, ReadOnlyOption } from './config.ts'
export { SILENT_LOGGER } from './config.ts'
export type { LogGap, Storage } from './storage.ts'
export type { BasicStatus, ProgressState, ProgressStatus, RaftStatus } from './status.ts'
export type { RawNode } from './raw-node.ts'
