/** What one model has earned in what it is not judged by before it serves: whoever changes the model begins anew. */
import { FailureTrust } from './failure-trust.ts'
import { MemoryTrust } from './memory-trust.ts'

export class ModelTrust {
  readonly memory = new MemoryTrust()
  readonly failures = new FailureTrust()
}
