/** A task as policies see it, over a spec and the few facts that change. */
import type { NodeId, TaskId } from '../../base/ids.ts'
import type { TimestampMs } from '../../base/units.ts'
import type { TaskView } from '../policy.ts'
import { NO_DEPENDENTS } from '../state.ts'
import type { Labels, Resources, StoredSpec, Task } from '../types.ts'

/** What of a task is not in its spec. */
type Facts = Pick<
  Task,
  'id' | 'group' | 'submittedAt' | 'readyAt' | 'attempts' | 'lastFailedOn' | 'lastError' | 'dependents'
>

/** One class for tasks in state and tasks in flight, so that policies meet one shape. */
class SpecTaskView implements TaskView {
  private readonly facts: Facts
  private readonly spec: StoredSpec

  constructor(facts: Facts, spec: StoredSpec) {
    this.facts = facts
    this.spec = spec
  }

  get id(): TaskId {
    return this.facts.id
  }
  get group(): TaskId {
    return this.facts.group
  }
  get submittedAt(): TimestampMs {
    return this.facts.submittedAt
  }
  get readyAt(): TimestampMs {
    return this.facts.readyAt
  }
  get attempts(): number {
    return this.facts.attempts
  }
  get lastFailedOn(): NodeId | undefined {
    return this.facts.lastFailedOn
  }
  get dependents(): readonly TaskId[] {
    return this.facts.dependents
  }
  get name(): string {
    return this.spec.name
  }
  get tenant(): string {
    return this.spec.tenant
  }
  get executor(): string {
    return this.spec.executor
  }
  get handler(): string {
    return this.spec.handler
  }
  get priority(): number {
    return this.spec.priority
  }
  get resources(): Resources {
    return this.spec.resources
  }
  get nodeSelector(): Labels {
    return this.spec.nodeSelector
  }
  get inputBytes(): number {
    const { input } = this.spec
    return 'sizeBytes' in input ? input.sizeBytes : input.length
  }
  get limitMs(): number {
    return this.spec.startToCloseMs
  }
  get idempotent(): boolean {
    return this.spec.idempotent && this.spec.delivery === 'at-least-once'
  }
  get deadlineAt(): TimestampMs {
    return this.spec.deadlineAt
  }
  get lastErrorCode(): string | undefined {
    return this.facts.lastError?.code
  }
  get needs(): readonly TaskId[] {
    return this.spec.needs.map((need) => need.id)
  }
}

/** The view of a task in state. */
export function viewOfTask(task: Task): TaskView {
  return new SpecTaskView(task, task.spec)
}

/** The view of a task whose submission is in flight and which will be ready at birth. */
export function viewOfUnborn(id: TaskId, group: TaskId, spec: StoredSpec, now: TimestampMs): TaskView {
  const facts = {
    id,
    group,
    submittedAt: now,
    readyAt: now,
    attempts: 0,
    lastFailedOn: undefined,
    lastError: undefined,
    dependents: NO_DEPENDENTS
  }
  return new SpecTaskView(facts, spec)
}
