/** What differs between two versions, line by line. */
import { IClient } from '../api/client';
import { useTrans } from '../parts';
import { Loaded, useLoad } from '../views/pieces';

interface IDiff {
  client: IClient;
  path: string;
  name: string;
  one: string;
  other: string;
}

const kindOf = (line: string) =>
  line.startsWith('@@') ? 'place' : line.startsWith('+') ? 'new' : line.startsWith('-') ? 'old' : 'same';

export function Diff({ client, path, name, one, other }: IDiff) {
  const trans = useTrans();
  const loaded = useLoad(
    () => client.get<{ lines: string[] }>(path, { one: `${name}@${one}`, other: `${name}@${other}` }),
    [path, name, one, other]
  );
  // the sign in front says it as well, for who cannot tell the colours apart
  return (
    <Loaded
      of={loaded}
      draw={found =>
        found.lines.length ? (
          <pre className="mlrun-Diff" tabIndex={0} aria-label={trans.__('Differences')}>
            {found.lines
              .filter(line => !line.startsWith('+++') && !line.startsWith('---'))
              .map((line, at) => (
                <div key={at} data-kind={kindOf(line)}>
                  {line || ' '}
                </div>
              ))}
          </pre>
        ) : (
          <p className="mlrun-Dim">{trans.__('Nothing differs.')}</p>
        )
      }
    />
  );
}
