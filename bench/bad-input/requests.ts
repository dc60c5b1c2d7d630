/** Requests that no node may accept. */
import type { Case, RawRequest } from './cases.ts'
import { refusedRequest } from './cases.ts'

const MEGABYTE = 1_000_000

export function requestCases(url: string): Case[] {
  const submit = (name: string, expected: string, names: RegExp, body: unknown, headers = {}): Case =>
    raw(name, expected, names, {
      method: 'POST',
      path: '/v1/tasks',
      headers,
      body: typeof body === 'string' ? body : JSON.stringify(body)
    })
  const raw = (name: string, expected: string, names: RegExp, sent: RawRequest): Case => ({
    name,
    expected,
    names,
    provoke: () => refusedRequest(url, sent)
  })
  const command = 'true'
  return [
    submit('malformed JSON', 'INVALID_JSON', /JSON/, '{"command": "true"'),
    submit('unknown executor', 'UNKNOWN_EXECUTOR', /executor.*got.*docker.*expected/, {
      executor: 'docker',
      command
    }),
    submit('cyclic needs', 'CYCLIC_NEEDS', /a.*b|b.*a/, [
      { name: 'a', command, needs: ['b'] },
      { name: 'b', command, needs: ['a'] }
    ]),
    submit('body of 10 MB', 'BODY_TOO_LARGE', /expected/, { command, input: 'x'.repeat(10 * MEGABYTE) }),
    submit('unknown field', 'INVALID_REQUEST', /comand.*command/, { comand: 'true' }),
    submit(
      'wrong content type',
      'UNSUPPORTED_MEDIA_TYPE',
      /text\/plain.*application\/json/,
      { command },
      {
        'content-type': 'text/plain'
      }
    ),
    submit(
      'foreign Host header',
      'HOST_NOT_ALLOWED',
      /attacker\.example/,
      { command },
      {
        host: 'attacker.example'
      }
    ),
    raw('unknown task id', 'TASK_NOT_FOUND', /t-999999999/, { method: 'GET', path: '/v1/tasks/t-999999999' })
  ]
}
