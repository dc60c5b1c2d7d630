/**
 * Workloads that come with DTSS. Each is a folder with `handlers/` and a module `workflow` that says what to submit and
 * how to show what came of it.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { AppError } from '../../base/errors.ts'
import type { TaskRequest } from '../../client/index.ts'

export interface ExampleWorkflow {
  /** One submission: a DAG. `workingDirectory` is where the user called from. */
  tasks(workingDirectory: string): TaskRequest[]
  /** Name of the task whose result is the workflow's. */
  readonly resultOf: string
  /** The result for a person, line by line. */
  describe(result: unknown): string[]
}

export interface Example {
  readonly handlersFolder: string
  readonly workflow: ExampleWorkflow
}

/** Loads an example by name. Throws CONFIG_INVALID when there is none of that name. */
export async function loadExample(name: string): Promise<Example> {
  const folder = new URL(`../../examples/${name}/`, import.meta.url)
  const module = new URL('workflow.js', folder)
  if (!/^[a-z0-9-]+$/.test(name) || !existsSync(module)) {
    throw new AppError(
      'CONFIG_INVALID',
      `--example: got "${name}", expected the name of a folder of examples/`,
      {
        details: { field: 'example', got: name }
      }
    )
  }
  const { workflow } = (await import(pathToFileURL(fileURLToPath(module)).href)) as {
    workflow: ExampleWorkflow
  }
  return { handlersFolder: fileURLToPath(new URL('handlers/', folder)), workflow }
}
