/** What a run has printed, followed while it goes on. */
import { useEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { Entry } from '../api/types';
import { Model, asApiError } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { Log } from './log';

/** What the run has printed, followed while it goes on; stays at the end unless the reader has scrolled up. */
export function LiveLog({ uid, model, going }: { uid: string; model: Model; going: boolean }) {
  const trans = useTrans();
  const log = useRef(new Log());
  const node = useRef<HTMLPreElement>(null);
  const [text, setText] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    let reading = false;
    let again = false;
    let frame = 0;
    // much may come between two pictures, and the whole text is drawn each time
    const draw = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => setText(log.current.text));
    };
    const read = async () => {
      // one reader at a time: entries have an order, and the pages give it
      if (reading) {
        again = true;
        return;
      }
      reading = true;
      try {
        for (let more = true; more && !gone;) {
          const page = await model.client.get<{ entries: Entry[]; last: number }>(`runs/${uid}/journal`, {
            after: log.current.last,
            limit: 5000
          });
          log.current.add(page.entries);
          more = page.entries.length >= 5000 || again;
          again = false;
        }
        if (!gone) {
          draw();
          setError(null);
        }
      } catch (failure) {
        if (!gone) {
          setError(asApiError(failure));
        }
      }
      reading = false;
    };
    const heard = (_: Model, event: { uid: string; entries: Entry[] }) => {
      if (event.uid !== uid) {
        return;
      }
      if (reading || (event.entries[0] && event.entries[0].n > log.current.last + 1)) {
        // something before it is missing: the journal itself has it
        void read();
      } else {
        log.current.add(event.entries);
        draw();
      }
    };
    model.journal.connect(heard);
    const watch = going ? model.watch(uid) : null;
    void read();
    return () => {
      gone = true;
      cancelAnimationFrame(frame);
      model.journal.disconnect(heard);
      watch?.dispose();
    };
  }, [uid, going]);
  const atEnd = useRef(true);
  useEffect(() => {
    if (atEnd.current && node.current) {
      node.current.scrollTop = node.current.scrollHeight;
    }
  }, [text]);
  return (
    <>
      {error && <ErrorBox error={error} />}
      <pre
        className="mlrun-Log"
        ref={node}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={trans.__('Log')}
        onScroll={event => {
          const it = event.currentTarget;
          atEnd.current = it.scrollHeight - it.scrollTop - it.clientHeight < 20;
        }}
      >
        {text || (going ? trans.__('Nothing printed yet.') : trans.__('Nothing was printed.'))}
      </pre>
    </>
  );
}
