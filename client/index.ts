/** The client library: talk to a cluster, and (see `task.ts`) write the tasks that it runs. */
export { createClient } from './client.ts'
export type {
  Client,
  ClientOptions,
  ListOptions,
  SubmitOptions,
  Submitted,
  SubmittedMany,
  WaitOptions
} from './client.ts'
export { DtssError } from './errors.ts'
export type { DtssErrorCode } from './errors.ts'
export type { HistoryOptions } from './history.ts'
export type { LogEntry, LogOptions } from './logs.ts'
export type { OptimizerClient } from './optimizer.ts'
export type { CallOptions, ReadOptions } from './options.ts'
export * from './task.ts'
export type { ClusterInfo, NodeInfo } from '../base/wire/cluster.ts'
export type {
  Alarm,
  Eta,
  GroupView,
  Predicted,
  Suggestion,
  SuggestionList,
  Why
} from '../base/wire/forecast.ts'
export type { HistoryTask } from '../base/wire/history.ts'
export type {
  CompareRequest,
  ModelCalibration,
  ModelMode,
  ModelStatus,
  ModelView,
  PolicyComparison,
  PolicyView
} from '../base/wire/optimizer.ts'
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
