/** What a node and a pool process tell each other, over the node's socket. */
import type { TaskError } from '../../../scheduler/types.ts'

/** One attempt, as a handler needs it. */
export interface JsAttempt {
  readonly token: number
  readonly taskId: number
  readonly attempt: number
  readonly name: string
  readonly handler: string
  /** UTF-8 JSON, empty for none. */
  readonly input: Uint8Array
  /** Name and UTF-8 JSON of each dependency's result. */
  readonly needs: readonly (readonly [name: string, result: Uint8Array])[]
}

/** A handler as discovery found it. */
export interface HandlerEntry {
  readonly name: string
  /** Hexadecimal, over the handler's own code and all that it imports by relative paths. */
  readonly hash: string
  /** What to import: the source itself, or its compiled form. */
  readonly url: string
  readonly exportName: string
}

export type ToPool =
  /** The answer to `hello`. */
  | { readonly type: 'handlers'; readonly handlers: readonly HandlerEntry[] }
  | { readonly type: 'discover'; readonly folder: string; readonly cacheFolder: string }
  /**
   * Starts unless `notAfter` (system monotonic) has passed. With `announce`, `started` has left the process before the
   * handler is called.
   */
  | {
      readonly type: 'run'
      readonly attempt: JsAttempt
      readonly notAfter: number
      readonly announce: boolean
    }
  | { readonly type: 'abort'; readonly token: number; readonly reason: string }
  /** Gives back the attempts that it has not begun, each as `recalled`. */
  | { readonly type: 'recall' }
  /** Ends a thread that did not listen. */
  | { readonly type: 'terminate'; readonly token: number }

export type FromPool =
  | { readonly type: 'hello'; readonly child: number; readonly secret: string }
  | {
      readonly type: 'discovered'
      readonly handlers: readonly HandlerEntry[]
      /** Modules that could not be loaded. */
      readonly problems: readonly { readonly file: string; readonly message: string }[]
    }
  | { readonly type: 'started'; readonly token: number; readonly startedAt: number }
  | {
      readonly type: 'output'
      readonly token: number
      readonly stream: 'stdout' | 'stderr'
      readonly bytes: Uint8Array
    }
  | DoneMessage

export interface DoneMessage {
  readonly type: 'done'
  readonly token: number
  /** `recalled`: given back without having begun, to be run elsewhere. */
  readonly outcome: 'succeeded' | 'failed' | 'not-started' | 'terminated' | 'recalled'
  readonly result: Uint8Array
  readonly error: TaskError | undefined
  readonly startedAt: number
  readonly finishedAt: number
  readonly runMs: number
  /** Whether an abort had reached it by then. */
  readonly aborted: boolean
  readonly residentBytes: number
  /** It left processes of its own behind, so its process must go too. */
  readonly dirty: boolean
}
