/** Turns a list of tasks into a `Workload`: barriers, dependents, and the checks that make a simulation meaningful. */
import { AppError } from '../../base/errors.ts'
import type { TaskId } from '../../base/ids.ts'
import { cycleFrom } from './cycle.ts'
import type { Barrier, SimTask, Workload } from './types.ts'

const NONE: readonly never[] = []

/**
 * Works out who waits for whom. Throws `INVALID_REQUEST` when ids are not 1…n, a submission is earlier than its
 * predecessor's, a work time is not a number ≥ 0, or a dependency does not exist; `CYCLIC_NEEDS` when one leads back.
 */
export function compileWorkload(name: string, tasks: readonly SimTask[]): Workload {
  checkTasks(name, tasks)
  const { barriers, opens } = findBarriers(tasks)
  checkAcyclic(name, tasks, barriers, opens)
  const barrierOf = new Int32Array(tasks.length).fill(-1)
  barriers.forEach((barrier, index) => {
    for (const member of barrier.members) barrierOf[member - 1] = index
  })
  return { name, tasks, barriers, barrierOf, opens, dependents: dependentsOf(tasks.length, barriers, opens) }
}

function checkTasks(name: string, tasks: readonly SimTask[]): void {
  let before = 0
  const bad = (index: number, field: string, got: unknown, expected: string): AppError =>
    wrongTask(name, index + 1, field, got, expected)
  tasks.forEach((task, index) => {
    if (task.id !== index + 1) throw bad(index, 'id', task.id, `${index + 1}`)
    if (!(task.submittedAt >= before)) throw bad(index, 'submittedAt', task.submittedAt, `≥ ${before}`)
    if (!(task.workMs >= 0 && task.workMs < Infinity)) throw bad(index, 'workMs', task.workMs, 'a number ≥ 0')
    for (const need of task.needs) {
      if (!(need >= 1 && need <= tasks.length)) throw bad(index, 'needs', need, `1 to ${tasks.length}`)
    }
    before = task.submittedAt
  })
}

function wrongTask(name: string, task: number, field: string, got: unknown, expected: string): AppError {
  return new AppError(
    'INVALID_REQUEST',
    `${name}: task ${task}: ${field}: got ${String(got)}, expected ${expected}`,
    { details: { task, field, got, expected } }
  )
}

function findBarriers(tasks: readonly SimTask[]): { barriers: Barrier[]; opens: number[][] } {
  const byNeeds = new Map<readonly TaskId[], TaskId[]>()
  for (const task of tasks) {
    if (task.needs.length === 0) continue
    const members = byNeeds.get(task.needs)
    if (members === undefined) byNeeds.set(task.needs, [task.id])
    else members.push(task.id)
  }
  const barriers: Barrier[] = []
  const opens: number[][] = tasks.map(() => NONE as unknown as number[])
  for (const [needs, members] of byNeeds) {
    for (const need of needs) {
      const list = opens[need - 1]
      if (list === undefined || list.length === 0) opens[need - 1] = [barriers.length]
      else list.push(barriers.length)
    }
    barriers.push({ needs, members })
  }
  return { barriers, opens }
}

/** Kahn's algorithm over barriers: every task must come out. */
function checkAcyclic(
  name: string,
  tasks: readonly SimTask[],
  barriers: readonly Barrier[],
  opens: readonly number[][]
): void {
  const waiting = barriers.map((barrier) => barrier.needs.length)
  const queue = tasks.filter((task) => task.needs.length === 0).map((task) => task.id)
  for (const id of queue) {
    for (const index of opens[id - 1] ?? []) {
      const left = (waiting[index] ?? 0) - 1
      waiting[index] = left
      // The array grows while it is walked: that is the queue.
      if (left === 0) for (const member of barriers[index]?.members ?? []) queue.push(member)
    }
  }
  if (queue.length !== tasks.length) {
    const stuck = barriers.find((_, index) => (waiting[index] ?? 0) > 0)?.members[0] ?? 0
    const free = new Set<number>(queue)
    const cycle = cycleFrom(stuck, (id) => tasks[id - 1]?.needs.find((need) => !free.has(need)))
    throw new AppError(
      'CYCLIC_NEEDS',
      `${name}: task ${cycle[0] ?? stuck}: needs: got the cycle ${cycle.join(' → ')}, expected none`,
      { details: { task: cycle[0] ?? stuck, field: 'needs', got: cycle, expected: 'no cycle' } }
    )
  }
}

function dependentsOf(
  count: number,
  barriers: readonly Barrier[],
  opens: readonly number[][]
): (readonly TaskId[])[] {
  const shared = new Map<string, readonly TaskId[]>()
  const result: (readonly TaskId[])[] = new Array<readonly TaskId[]>(count)
  for (let index = 0; index < count; index++) {
    const list = opens[index] ?? NONE
    const first = list[0]
    if (first === undefined) {
      result[index] = NONE
    } else if (list.length === 1) {
      result[index] = barriers[first]?.members ?? NONE
    } else {
      const key = list.join()
      let all = shared.get(key)
      if (all === undefined) {
        all = list.flatMap((barrier) => barriers[barrier]?.members ?? [])
        shared.set(key, all)
      }
      result[index] = all
    }
  }
  return result
}
