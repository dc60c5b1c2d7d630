/**
 * What the author of a `js` task writes against. A handler is a function, or the result of `defineTask`, exported by a
 * module in the node's handlers folder.
 */

/** What a handler is told besides its input. */
export interface TaskContext {
  /** The public id, `t-42`. */
  readonly taskId: string
  readonly name: string
  /** From 1. */
  readonly attempt: number
  /**
   * Rises with each placement of any task. Hand it to whatever you write to, and let that refuse lower tokens than it
   * has seen: then a paused process that wakes up after its task was given to another node does no harm.
   */
  readonly fencingToken: number
  /** Aborted when the attempt is to stop (cancel, timeout, drain, …). A handler that ignores it is killed. */
  readonly signal: AbortSignal
  /** Results of the tasks that this one needed, by the names it gave them. */
  readonly needs: Readonly<Record<string, unknown>>
  /** Writes a line to the task's log. `console.log` does too. */
  log(...values: readonly unknown[]): void
}

/** Runs one attempt. The value that it returns or resolves to is the result: JSON, at most 64 KiB. */
export type TaskHandler<Input = unknown, Result = unknown> = (
  input: Input,
  context: TaskContext
) => Result | Promise<Result>

export interface TaskDefinition<Input = unknown, Result = unknown> {
  /** The handler's name. Without one it follows from the file and the export. */
  readonly name?: string
  readonly run: TaskHandler<Input, Result>
}

/** Names a handler and types its input and result. */
export function defineTask<Input = unknown, Result = unknown>(
  definition: TaskDefinition<Input, Result>
): TaskDefinition<Input, Result> {
  return definition
}

/** Thrown by a handler to fail the task for good: it is not tried again. */
export class TerminalError extends Error {
  override readonly name: string = 'TerminalError'
  readonly retryable = false
  /** Recorded as the error's code. */
  readonly code: string

  constructor(message: string, options: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = options.code ?? 'TERMINAL'
  }
}
