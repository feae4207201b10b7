"""A Gradio app that identifies people by the gate's headers alone.

Two pages, a greeting on load, and a queued event that takes its time.
"""

import os
import time

import gradio as gr

STEPS = 5


def greet(request: gr.Request) -> str:
    name = request.headers.get("x-forwarded-preferred-username", "stranger")
    view = request.query_params.get("view", "nothing")
    return f"Hello, {name}. You came for {view}."


def session(request: gr.Request) -> str:
    """Which session cookie the app receives."""
    cookie = request.cookies.get("huggate", "")
    # A JWT has three parts and starts with a JSON object; the sealed cookie does not.
    kind = "assertion" if cookie.count(".") == 2 and cookie.startswith("eyJ") else cookie[:20] or "nothing"
    same = cookie == request.headers.get("x-huggate-assertion")
    return f"cookie: {kind}, same as header: {same}"


def work(request: gr.Request):
    name = request.headers.get("x-forwarded-preferred-username", "stranger")
    for step in range(1, STEPS + 1):
        yield f"step {step} of {STEPS} for {name}"
        time.sleep(0.5)
    yield f"done for {name}"


with gr.Blocks(title="Greeter") as app:
    greeting = gr.Textbox(label="Greeting")
    seen = gr.Textbox(label="Session")
    app.load(greet, None, greeting)
    app.load(session, None, seen)
    start = gr.Button("Work")
    progress = gr.Textbox(label="Progress")
    start.click(work, None, progress)

with app.route("Reports", "/reports"):
    deep = gr.Textbox(label="Deep greeting")
    app.load(greet, None, deep)
    deep_start = gr.Button("Work here")
    deep_progress = gr.Textbox(label="Deep progress")
    deep_start.click(work, None, deep_progress)

if __name__ == "__main__":
    app.queue().launch(server_name="127.0.0.1", server_port=int(os.environ["GRADIO_SERVER_PORT"]))
