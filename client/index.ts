/** The client library: talk to a cluster, and (see `task.ts`) write the tasks that it runs. */
export { createClient } from './client.ts'
export type {
  CallOptions,
  Client,
  ClientOptions,
  ListOptions,
  ReadOptions,
  SubmitOptions,
  WaitOptions
} from './client.ts'
export { DtssError } from './errors.ts'
export type { DtssErrorCode } from './errors.ts'
export type { LogEntry, LogOptions } from './logs.ts'
export * from './task.ts'
export type { ClusterInfo, NodeInfo } from '../base/wire/cluster.ts'
export type { WireTaskStatus as TaskStatus } from '../base/wire/common.ts'
export type {
  CancelReply,
  TaskResultReply,
  TaskStatusReply,
  TaskSummary,
  TaskView,
  WireTaskError
} from '../base/wire/task-reply.ts'
export type { TaskRequest } from '../base/wire/task-request.ts'
