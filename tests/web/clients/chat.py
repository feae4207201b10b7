"""An OpenAI client for the tests: performs one action and prints the result as JSON.

    chat.py THING BASE_URL KEY [--release URL]

`stream` has the server say its further words only after the first has arrived.
"""

import argparse
import asyncio
import json
import urllib.request

import openai

ASKED = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


def say(**what):
    print(json.dumps(what), flush=True)


def client(given, kind=openai.OpenAI):
    return kind(base_url=given.url, api_key=given.key, max_retries=0, timeout=20)


def pieces(events, release):
    """The words in the order of arrival; releases the server after the first."""
    words = []
    for event in events:
        content = event.choices[0].delta.content
        if content:
            words.append(content)
            if len(words) == 1:
                # The server waits for this before it sends more.
                urllib.request.urlopen(urllib.request.Request(release, method="POST"), timeout=20).read()
    return words


def stream(given):
    events = client(given).chat.completions.create(stream=True, **ASKED)
    say(words=pieces(events, given.release))


def whole(given):
    answer = client(given).chat.completions.create(**ASKED)
    say(content=answer.choices[0].message.content)


def models(given):
    say(models=[model.id for model in client(given).models.list()])


def asynchronous(given):
    async def ask():
        async with client(given, openai.AsyncOpenAI) as asking:
            return await asking.chat.completions.create(**ASKED)

    say(content=asyncio.run(ask()).choices[0].message.content)


THINGS = {thing.__name__: thing for thing in (stream, whole, models, asynchronous)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("thing", choices=THINGS)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--release")
    given = parser.parse_args()
    try:
        THINGS[given.thing](given)
    except openai.APIStatusError as error:
        say(
            error=type(error).__name__,
            status=error.status_code,
            code=error.code,
            type=error.type,
            text=str(error),
            retry_after=error.response.headers.get("retry-after"),
        )


main()
