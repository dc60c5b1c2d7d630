/**
 * Checks a submission before it is acknowledged and brings it into an order in which each task stands after those that it
 * needs: unknown or ambiguous names, cycles, published limits. All errors name the field, what was got and what is expected.
 *
 * Iterative throughout: a chain of a thousand tasks must not be a thousand stack frames.
 */
import { AppError } from '../base/errors.ts'
import type { ErrorCode } from '../base/errors.ts'
import type { TaskId } from '../base/ids.ts'
import { LIMITS } from '../base/limits.ts'
import type { IdempotencyKey } from './commands.ts'
import { assemble } from './spec-codec.ts'
import { checkSpec } from './spec-rules.ts'
import type { Submission, SubmissionNeed, SubmissionTask } from './submission.ts'

/** A dependency as users write it: the name of a task of the same submission, or an earlier task's id. */
export interface DraftNeed {
  readonly as: string
  readonly ref: string | TaskId
}

/** A task before it has a place in its submission. */
export interface TaskDraft extends Omit<SubmissionTask, 'needs'> {
  readonly needs: readonly DraftNeed[]
}

export interface OrderedSubmission {
  readonly submission: Submission
  /** Where each draft went: draft `i` gets the id `firstId + positions[i]`. The same drafts always go to the same places. */
  readonly positions: readonly number[]
}

/**
 * Throws LIMIT_EXCEEDED, UNKNOWN_NEED, DUPLICATE_NAME (a need that fits two tasks), INVALID_REQUEST (a need named twice) or
 * CYCLIC_NEEDS (naming the cycle). Whether ids of earlier tasks exist is for `apply` to say.
 */
export function orderSubmission(
  drafts: readonly TaskDraft[],
  idempotency?: IdempotencyKey
): OrderedSubmission {
  if (drafts.length < 1 || drafts.length > LIMITS.batchTasks) {
    throw refuse('LIMIT_EXCEEDED', 'tasks', `${drafts.length} tasks`, `1 to ${LIMITS.batchTasks}`)
  }
  for (const [index, draft] of drafts.entries()) checkDraft(draft, index)
  const needs = resolveNeeds(drafts)
  const order = sort(drafts, needs)
  const positions = new Array<number>(drafts.length).fill(0)
  for (const [position, index] of order.entries()) positions[index] = position
  const tasks: SubmissionTask[] = []
  for (const index of order) {
    const draft = drafts[index]
    if (draft === undefined) continue
    const placed = (needs[index] ?? []).map((need): SubmissionNeed =>
      'index' in need ? { position: positions[need.index] ?? 0, as: need.as } : need
    )
    tasks.push(assemble(draft, draft.input, placed, draft.notBefore, draft.deadlineAt))
  }
  return { submission: idempotency === undefined ? { tasks } : { tasks, idempotency }, positions }
}

function checkDraft(draft: TaskDraft, index: number): void {
  const wrong = checkSpec(draft)
  if (wrong !== undefined) {
    throw refuse('LIMIT_EXCEEDED', `tasks[${index}].${wrong.field}`, wrong.got, wrong.expected)
  }
  if (draft.needs.length > LIMITS.taskNeeds) {
    const got = `${draft.needs.length} needs`
    throw refuse('LIMIT_EXCEEDED', `tasks[${index}].needs`, got, `at most ${LIMITS.taskNeeds}`)
  }
}

/** A need by the index of its draft, or by an earlier task's id. */
type Resolved = { readonly index: number; readonly as: string } | { readonly id: TaskId; readonly as: string }

function resolveNeeds(drafts: readonly TaskDraft[]): Resolved[][] {
  const byName = new Map<string, number[]>()
  for (const [index, { name }] of drafts.entries()) {
    const same = byName.get(name)
    if (same === undefined) byName.set(name, [index])
    else same.push(index)
  }
  return drafts.map((draft, index) => {
    const seen = new Set<string | TaskId>()
    return draft.needs.map(({ as, ref }) => {
      const field = `tasks[${index}].needs`
      if (seen.has(ref)) throw refuse('INVALID_REQUEST', field, `"${ref}" twice`, 'each task once')
      seen.add(ref)
      if (typeof ref === 'number') return { id: ref, as }
      const [found, ...others] = byName.get(ref) ?? []
      if (found === undefined) {
        throw refuse(
          'UNKNOWN_NEED',
          field,
          `"${ref}"`,
          'the name of a task of the same submission, or a task id'
        )
      }
      if (others.length > 0) {
        throw refuse(
          'DUPLICATE_NAME',
          field,
          `"${ref}", of which there are ${others.length + 1}`,
          'a unique name'
        )
      }
      return { index: found, as }
    })
  })
}

/** The given order when it will do, else Kahn's (1962). */
function sort(drafts: readonly TaskDraft[], needs: readonly Resolved[][]): number[] {
  const inOrder = needs.every((list, index) => list.every((need) => !('index' in need) || need.index < index))
  if (inOrder) return drafts.map((_, index) => index)
  const waitingOn = new Array<number>(drafts.length).fill(0)
  const dependents: number[][] = drafts.map(() => [])
  for (const [index, list] of needs.entries()) {
    for (const need of list) {
      if (!('index' in need)) continue
      waitingOn[index] = (waitingOn[index] ?? 0) + 1
      dependents[need.index]?.push(index)
    }
  }
  const order: number[] = []
  let free = drafts.map((_, index) => index).filter((index) => waitingOn[index] === 0)
  while (free.length > 0) {
    const next: number[] = []
    for (const index of free) {
      order.push(index)
      for (const dependent of dependents[index] ?? []) {
        const left = (waitingOn[dependent] ?? 0) - 1
        waitingOn[dependent] = left
        if (left === 0) next.push(dependent)
      }
    }
    free = next.sort((a, b) => a - b)
  }
  if (order.length < drafts.length) throw cyclic(drafts, needs, new Set(order))
  return order
}

/** What Kahn's algorithm could not order lies on a cycle or behind one: walking along needs must close a circle. */
function cyclic(
  drafts: readonly TaskDraft[],
  needs: readonly Resolved[][],
  ordered: ReadonlySet<number>
): AppError {
  const path: number[] = []
  let at = drafts.findIndex((_, index) => !ordered.has(index))
  while (!path.includes(at)) {
    path.push(at)
    const onward = needs[at]?.find((need) => 'index' in need && !ordered.has(need.index))
    if (onward === undefined || !('index' in onward)) break
    at = onward.index
  }
  const cycle = [...path.slice(path.indexOf(at)), at].map((index) => drafts[index]?.name ?? '')
  const got = cycle.length > 20 ? [...cycle.slice(0, 19), '…', cycle[0] ?? ''] : cycle
  return new AppError('CYCLIC_NEEDS', `needs: got the cycle ${got.join(' → ')}, expected none`, {
    details: { field: 'needs', got, expected: 'no cycle' }
  })
}

function refuse(code: ErrorCode, field: string, got: string, expected: string): AppError {
  return new AppError(code, `${field}: got ${got}, expected ${expected}`, {
    details: { field, got, expected }
  })
}
