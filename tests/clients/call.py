"""Calls a vendor's official client with only its base URL changed, and prints what a program would see, as JSON.

Usage: call.py VENDOR ORIGIN plain|stream [MODEL]
"""

import json
import sys

KEY = "key-of-the-client"
ASK = "Say hello."


def openai(origin, stream, model):
    import openai

    client = openai.OpenAI(base_url=f"{origin}/openai/v1", api_key=KEY, max_retries=0)
    messages = [{"role": "user", "content": ASK}]
    if stream:
        chunks = client.chat.completions.create(model=model, messages=messages, stream=True)
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    return client.chat.completions.create(model=model, messages=messages).choices[0].message.content


def mistral(origin, stream, model):
    try:
        from mistralai import Mistral
    except ImportError:  # where version 2 and newer have it
        from mistralai.client import Mistral

    client = Mistral(server_url=f"{origin}/mistral", api_key=KEY)
    messages = [{"role": "user", "content": ASK}]
    if stream:
        events = client.chat.stream(model=model, messages=messages)
        return "".join(event.data.choices[0].delta.content or "" for event in events)
    return client.chat.complete(model=model, messages=messages).choices[0].message.content


def anthropic(origin, stream, model):
    import anthropic

    client = anthropic.Anthropic(base_url=f"{origin}/anthropic", api_key=KEY, max_retries=0)
    ask = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": ASK}]}
    if stream:
        with client.messages.stream(**ask) as events:
            return "".join(events.text_stream)
    return client.messages.create(**ask).content[0].text


def gemini(origin, stream, model):
    from google import genai

    options = genai.types.HttpOptions(base_url=f"{origin}/gemini", api_version="v1beta")
    client = genai.Client(api_key=KEY, http_options=options)
    if stream:
        return "".join(part.text or "" for part in client.models.generate_content_stream(model=model, contents=ASK))
    return client.models.generate_content(model=model, contents=ASK).text


def bedrock(origin, stream, model):
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=f"{origin}/bedrock",
        region_name="us-east-1",
        aws_access_key_id="id-of-the-client",
        aws_secret_access_key=KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )
    messages = [{"role": "user", "content": [{"text": ASK}]}]
    if stream:
        events = client.converse_stream(modelId=model, messages=messages)["stream"]
        return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)
    return client.converse(modelId=model, messages=messages)["output"]["message"]["content"][0]["text"]


def main():
    vendor, origin, way, *model = sys.argv[1:]
    call = {"openai": openai, "mistral": mistral, "anthropic": anthropic, "gemini": gemini, "bedrock": bedrock}[vendor]
    try:
        seen = {"text": call(origin, way == "stream", *model or ["any"])}
    except Exception as error:  # what it is, is what is asked
        kinds = [f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if hasattr(error, "response") and isinstance(error.response, dict):
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        seen = {"kinds": kinds, "status": status, "message": str(error)}
    print(json.dumps(seen))


main()
