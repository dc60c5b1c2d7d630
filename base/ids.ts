/**
 * Branded ids. A brand is a compile-time tag only: the value stays the primitive it names.
 */
declare const brand: unique symbol
type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** A node's Raft number: a safe integer ≥ 1, allocated in the log and never reused. */
export type NodeId = Brand<number, 'NodeId'>
/** One life of a node: rises by one at each start and at each lapse of its lease; 0 before the first. */
export type Incarnation = Brand<number, 'Incarnation'>
/** A task's sequence number in creation order, ≥ 1. Its public form is `t-<number>`. */
export type TaskId = Brand<number, 'TaskId'>
/** A fencing token: one cluster-wide counter, +1 at each placement. */
export type FencingToken = Brand<number, 'FencingToken'>
/** The identity of a cluster: 32 lower-case hexadecimal digits, drawn at its birth. */
export type ClusterId = Brand<string, 'ClusterId'>
/** A node's libp2p identity in its string form. */
export type PeerId = Brand<string, 'PeerId'>

export const nodeId = (value: number): NodeId => value as NodeId
export const incarnation = (value: number): Incarnation => value as Incarnation
export const taskId = (value: number): TaskId => value as TaskId
export const fencingToken = (value: number): FencingToken => value as FencingToken
export const clusterId = (value: string): ClusterId => value as ClusterId
export const peerId = (value: string): PeerId => value as PeerId

/** The public form of a task id, `t-42`. */
export function formatTaskId(id: TaskId): string {
  return `t-${id}`
}

/** The task id that `text` names, or undefined when it is not of the form `t-<number ≥ 1>`. */
export function parseTaskId(text: string): TaskId | undefined {
  const match = /^t-([1-9][0-9]{0,15})$/.exec(text)
  if (match === null) return undefined
  const value = Number(match[1])
  return Number.isSafeInteger(value) ? taskId(value) : undefined
}
